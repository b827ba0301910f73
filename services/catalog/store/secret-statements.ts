/** What a row of secrets is elsewhere, by its owner's column: the tenant's has none. */
const kindOf = (owner: string) => `case ${owner} when '' then 'tenant' else 'user' end`;
const objectKindOf = (owner: string) =>
  `case ${owner} when '' then 'secret' else 'user-secret' end`;
const objectIdOf = (owner: string, name: string) =>
  `case ${owner} when '' then ${name} else ${owner} || '/' || ${name} end`;
const methodOf = (owner: string) =>
  `case ${owner} when '' then 'SetSecret' else 'SetUserSecret' end`;

/** What the audit says besides: the API key, if it was by one. */
const detailOf = (version: string, apiKey: string) =>
  `jsonb_strip_nulls(jsonb_build_object('version', ${version}, 'api_key', ${apiKey}))`;

/**
 * One statement writes the secret, its version, the audit row and the request's answer: half the
 * round trips of a transaction, and no lock held between them. A condition that does not hold gives
 * no row and writes nothing; a request id that was used gives a unique violation and writes nothing.
 *
 * $1 tenant, $2 actor kind, $3 actor, $4 peer, $5 name, $6 version id, $7 data key id, $8 sealed,
 * $9 size, $10 as file (null keeps), $11 has description, $12 description, $13 expected version,
 * $14 needs to be a file, $15 request id, $16 hash of the request's body, $17 owner ('': the tenant),
 * $18 API key.
 */
export const WRITE_SECRET = `
with written as (
  insert into catalog.secrets as s (tenant_id, owner, name, version, version_id, size_bytes, as_file,
    description, created_at, updated_at, updated_by)
  select $1, $17, $5, 1, $6::uuid, $9::integer, coalesce($10::boolean, false),
    nullif($12::text, ''), at, at, $3
  from (select clock_timestamp() as at) as clock
  where ($13::bigint is null or $13 = 0
      or exists (select from catalog.secrets where tenant_id = $1 and owner = $17 and name = $5))
    and (not $14::boolean or coalesce($10, false)
      or exists (select from catalog.secrets where tenant_id = $1 and owner = $17 and name = $5))
  on conflict (tenant_id, owner, name) do update set
    version = s.version + 1,
    version_id = excluded.version_id,
    size_bytes = excluded.size_bytes,
    as_file = coalesce($10, not s.is_deleted and s.as_file),
    description = case
      when $11::boolean then excluded.description
      when s.is_deleted then null
      else s.description end,
    is_deleted = false,
    created_at = case when s.is_deleted then excluded.created_at else s.created_at end,
    updated_at = excluded.updated_at,
    updated_by = excluded.updated_by
  where ($13 is null or $13 = case when s.is_deleted then 0 else s.version end)
    and (not $14 or coalesce($10, not s.is_deleted and s.as_file))
  returning owner, name, version, description, as_file, created_at, updated_at, updated_by
), version as (
  insert into catalog.secret_versions (tenant_id, id, kind, owner, name, version, data_key_id,
    sealed, size_bytes, as_file, written_at, written_by)
  select $1, $6, ${kindOf("owner")}, owner, name, version, $7::uuid, $8::bytea, $9, as_file,
    updated_at, $3
  from written
), audited as (
  insert into catalog.audit (tenant_id, actor_kind, actor_id, peer, action, object_kind, object_id,
    outcome, detail)
  select $1, $2, $3, $4, ${objectKindOf("owner")} || '.set', ${objectKindOf("owner")},
    ${objectIdOf("owner", "name")}, 'ok', ${detailOf("version", "$18::text")}
  from written
), answered as (
  insert into catalog.requests (tenant_id, method, actor, request_id, data_key_id, body_hash,
    answer, expires_at)
  select $1, ${methodOf("owner")}, $3, $15::text, $7, $16::bytea,
    to_jsonb(written) || jsonb_build_object('version', version::text),
    clock_timestamp() + interval '10 minutes'
  from written where $15 is not null
)
select * from written`;

/** How writes of one statement treat what they do not name. */
export interface WriteVariant {
  /** The writes have no description, and keep the one there is. */
  keepsDescription: boolean;
  /** The writes have no delivery, and keep the one there is. */
  keepsDelivery: boolean;
}

/**
 * WRITE_SECRET for many writes at a time, of different secrets and without conditions: each costs a
 * third. Rows are locked in the order of their names, so that two such statements cannot lock each
 * other out. The parameters are arrays: $1 tenants, $2 actor kinds, $3 actors, $4 peers, $5 names,
 * $6 version ids, $7 data key ids, $8 sealed, $9 sizes, $10 as files, $11 descriptions, $12 request
 * ids, $13 hashes of the requests' bodies, $14 owners, $15 API keys.
 */
export function writeSecrets({ keepsDescription, keepsDelivery }: WriteVariant): string {
  const description = keepsDescription
    ? "case when s.is_deleted then null else s.description end"
    : "excluded.description";
  const asFile = keepsDelivery ? "not s.is_deleted and s.as_file" : "excluded.as_file";
  return `
with wanted as materialized (
  select *, clock_timestamp() as at from unnest($1::text[], $2::text[], $3::text[], $4::text[],
    $5::text[], $6::uuid[], $7::uuid[], $8::bytea[], $9::integer[], $10::boolean[], $11::text[],
    $12::text[], $13::bytea[], $14::text[], $15::text[])
    as wanted (tenant_id, actor_kind, actor_id, peer, name, version_id, data_key_id, sealed,
      size_bytes, as_file, description, request_id, body_hash, owner, api_key)
), written as (
  insert into catalog.secrets as s (tenant_id, owner, name, version, version_id, size_bytes, as_file,
    description, created_at, updated_at, updated_by)
  select tenant_id, owner, name, 1, version_id, size_bytes, coalesce(as_file, false),
    nullif(description, ''), at, at, actor_id
  from wanted order by tenant_id collate "C", owner collate "C", name collate "C"
  on conflict (tenant_id, owner, name) do update set
    version = s.version + 1,
    version_id = excluded.version_id,
    size_bytes = excluded.size_bytes,
    as_file = ${asFile},
    description = ${description},
    is_deleted = false,
    created_at = case when s.is_deleted then excluded.created_at else s.created_at end,
    updated_at = excluded.updated_at,
    updated_by = excluded.updated_by
  returning tenant_id, owner, name, version, description, as_file, created_at, updated_at,
    updated_by, version_id
), versions as (
  insert into catalog.secret_versions (tenant_id, id, kind, owner, name, version, data_key_id,
    sealed, size_bytes, as_file, written_at, written_by)
  select s.tenant_id, s.version_id, ${kindOf("s.owner")}, s.owner, s.name, s.version, w.data_key_id, w.sealed,
    w.size_bytes, s.as_file, s.updated_at, s.updated_by
  from written s join wanted w using (version_id)
), audited as (
  insert into catalog.audit (tenant_id, actor_kind, actor_id, peer, action, object_kind, object_id,
    outcome, detail)
  select s.tenant_id, w.actor_kind, w.actor_id, w.peer, ${objectKindOf("s.owner")} || '.set',
    ${objectKindOf("s.owner")}, ${objectIdOf("s.owner", "s.name")}, 'ok',
    ${detailOf("s.version", "w.api_key")}
  from written s join wanted w using (version_id)
), answered as (
  insert into catalog.requests (tenant_id, method, actor, request_id, data_key_id, body_hash,
    answer, expires_at)
  select s.tenant_id, ${methodOf("s.owner")}, w.actor_id, w.request_id, w.data_key_id, w.body_hash,
    to_jsonb(s) || jsonb_build_object('version', s.version::text),
    clock_timestamp() + interval '10 minutes'
  from written s join wanted w using (version_id) where w.request_id is not null
)
select * from written`;
}

/**
 * Ends a secret, and records it as what was asked for. $1 tenant, $2 actor kind, $3 actor, $4 peer,
 * $5 name, $6 expected version, $7 owner, $8 how: `delete` or `revoke`, $9 API key.
 */
export const DELETE_SECRET = `
with gone as (
  update catalog.secrets set
    version = version + 1,
    last_deleted_version = version + 1,
    version_id = null,
    size_bytes = 0,
    is_deleted = true,
    updated_at = clock_timestamp(),
    updated_by = $3
  where tenant_id = $1 and owner = $7 and name = $5 and not is_deleted
    and ($6::bigint is null or version = $6)
  returning owner, name, version, as_file, updated_at
), version as (
  insert into catalog.secret_versions (tenant_id, id, kind, owner, name, version, size_bytes,
    as_file, written_at, written_by)
  select $1, gen_random_uuid(), ${kindOf("owner")}, owner, name, version, 0, as_file, updated_at, $3
  from gone
), audited as (
  insert into catalog.audit (tenant_id, actor_kind, actor_id, peer, action, object_kind, object_id,
    outcome, detail)
  select $1, $2, $3, $4, ${objectKindOf("owner")} || '.' || $8::text, ${objectKindOf("owner")},
    ${objectIdOf("owner", "name")}, 'ok', ${detailOf("version", "$9::text")}
  from gone
)
select version from gone`;
