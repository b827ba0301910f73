import type { Db } from "../../../../../lib/postgres/db";
import {
  AGENT_COLUMNS,
  fromRow as agentFromRow,
  IS_LIVING,
  type ProcessesRow,
} from "../../../agents/store/agent-row";
import { MAX_REPORT_AGE_MS, UNSEEN_MS } from "../../verification/credential-uses";
import {
  MAX_LAGGARDS,
  type CaseRef,
  type CaseStage,
  type EvidenceCase,
  type Laggard,
} from "../domain/evidence-case";
import type { CaseStore, HeldCase } from "./case-store";

const IS_OPEN = `c.stage in ('storing', 'gathering')`;
const MS = `interval '1 millisecond'`;
const COLUMNS = `c.tenant_id, c.successor_id, c.credential_id, c.stage, c.secret_name, c.from_version,
  c.secret_version, c.begun_by, c.begun_at, c.stored_at, c.deadline, c.ended_at, c.rollout_id,
  c.laggards, c.laggard_count, c.looked_at, c.alarmed, c.problem`;
const HELD_COLUMNS = `${COLUMNS}, o.hash, c.agents_before, c.rekey_after <= clock_timestamp() as may_rekey,
  coalesce(extract(epoch from clock_timestamp() - c.stored_at) * 1000, 0)::float8 as age_ms,
  coalesce(100 * extract(epoch from clock_timestamp() - c.stored_at) /
    nullif(extract(epoch from c.deadline - c.stored_at), 0), 0)::float8 as elapsed_percent`;
const JOIN_OLD = `join rotation.credentials o
  on o.tenant_id = c.tenant_id and o.credential_id = c.credential_id`;
const IS_CASE = `c.tenant_id = $1 and c.successor_id = $2`;

interface CaseRow {
  tenant_id: string;
  successor_id: string;
  credential_id: string;
  stage: CaseStage;
  secret_name: string;
  from_version: bigint;
  secret_version: bigint | null;
  begun_by: string;
  begun_at: Date;
  stored_at: Date | null;
  deadline: Date | null;
  ended_at: Date | null;
  rollout_id: string | null;
  laggards: Laggard[];
  laggard_count: number;
  looked_at: Date | null;
  alarmed: number;
  problem: string;
}

interface HeldRow extends CaseRow {
  hash: Buffer;
  agents_before: string[];
  may_rekey: boolean;
  age_ms: number;
  elapsed_percent: number;
}

/** CaseStore in `rotation.evidence_cases`. */
export const postgresCaseStore: CaseStore = {
  async open(tx, wish, holdMs) {
    await tx.query(
      `insert into rotation.evidence_cases (tenant_id, successor_id, credential_id, secret_name,
         grace_seconds, begun_by, look_after)
       values ($1, $2, $3, $4, $5, $6, clock_timestamp() + $7 * ${MS})`,
      [
        ...[wish.tenantId, wish.successorId, wish.credentialId, wish.secretName],
        ...[wish.graceSeconds, wish.begunBy, holdMs],
      ],
    );
  },
  async findLatest(db, { tenantId, id }) {
    const { rows } = await db.query<CaseRow>(
      `select ${COLUMNS} from rotation.evidence_cases c
       where c.tenant_id = $1 and c.credential_id = $2 order by c.sequence desc limit 1`,
      [tenantId, id],
    );
    return rows.map(fromRow)[0];
  },
  async find(db, ref) {
    const { rows } = await db.query<HeldRow>(
      `select ${HELD_COLUMNS} from rotation.evidence_cases c ${JOIN_OLD} where ${IS_CASE}`,
      keyOf(ref),
    );
    return rows.map(fromHeldRow)[0];
  },
  claim,
  async letGo(db, ref, forMs) {
    await update(db, ref, `look_after = clock_timestamp() + $3 * ${MS}`, [forMs]);
  },
  async lock(tx, ref) {
    const { rows } = await tx.query<CaseRow>(
      `select ${COLUMNS} from rotation.evidence_cases c where ${IS_CASE} and ${IS_OPEN} for update`,
      keyOf(ref),
    );
    return rows.map(fromRow)[0];
  },
  async stored(tx, ref, version) {
    await tx.query(
      `with old as (
         update rotation.credentials o set expires_at =
             least(o.expires_at, clock_timestamp() + c.grace_seconds * interval '1 second')
         from rotation.evidence_cases c
         where ${IS_CASE} and c.stage = 'storing'
           and o.tenant_id = c.tenant_id and o.credential_id = c.credential_id
         returning o.tenant_id, o.expires_at
       ), successor as (
         update rotation.credentials s set secret_name = c.secret_name
         from rotation.evidence_cases c
         where ${IS_CASE} and s.tenant_id = c.tenant_id and s.credential_id = c.successor_id
       )
       update rotation.evidence_cases c set stage = 'gathering', secret_version = $3,
         stored_at = clock_timestamp(), deadline = old.expires_at, problem = '',
         agents_before = array(select a.agent_id from rotation.agents a
           where a.tenant_id = $1 and ${IS_LIVING})
       from old where ${IS_CASE} and c.stage = 'storing'`,
      [...keyOf(ref), version],
    );
  },
  async noteProblem(db, ref, problem) {
    await update(db, ref, `problem = case when ${IS_OPEN} then $3 else c.problem end`, [problem]);
  },
  async noteRollout(db, ref, rolloutId, pauseMs) {
    const set = `rollout_id = $3, rekey_after = clock_timestamp() + $4 * ${MS}`;
    await update(db, ref, set, [rolloutId, pauseMs]);
  },
  async noteLook(db, ref, { laggards, alarm }) {
    const { rowCount } = await db.query(
      `update rotation.evidence_cases c set laggards = $3, laggard_count = $4,
         looked_at = clock_timestamp(), problem = '', alarmed = greatest(c.alarmed, $5)
       where ${IS_CASE} and ${IS_OPEN}`,
      [...keyOf(ref), JSON.stringify(laggards.slice(0, MAX_LAGGARDS)), laggards.length, alarm ?? 0],
    );
    return rowCount === 1;
  },
  async end(tx, ref, how, problem = "") {
    const { rowCount } = await tx.query(
      `update rotation.evidence_cases c set stage = $3, ended_at = clock_timestamp(), problem = $4,
         is_done = c.secret_version is null,
         laggards = case when $3 = 'evidence' then '[]' else c.laggards end,
         laggard_count = case when $3 = 'evidence' then 0 else c.laggard_count end
       where ${IS_CASE} and ${IS_OPEN}`,
      [...keyOf(ref), how, problem],
    );
    return rowCount === 1;
  },
  async finish(db, ref) {
    await update(db, ref, "is_done = true", []);
  },
  readAgents,
  async hasValidSuccessor(db, { tenantId, id }, lock) {
    const { rows } = await db.query<{ is_valid: boolean }>(
      `with recursive chain as (
         select replaced_by as id from rotation.credentials
         where tenant_id = $1 and credential_id = $2
         union
         select c.replaced_by from chain join rotation.credentials c
           on c.tenant_id = $1 and c.credential_id = chain.id
       )
       select revoked_at is null and (expires_at is null or expires_at > clock_timestamp())
         as is_valid
       from rotation.credentials
       where tenant_id = $1 and credential_id in (select id from chain) ${lock}`,
      [tenantId, id],
    );
    return rows.some((row) => row.is_valid);
  },
  async isQuiet(db, { tenantId, id }, quietMs) {
    const { rows } = await db.query<{ is_quiet: boolean }>(
      `select coalesce((select min(r.known_at) from rotation.credential_use_reports r
           where r.reported_at > clock_timestamp() - ($3::float8 + $4::float8) * ${MS}) - $3::float8 * ${MS}
         >= coalesce(greatest(c.last_used_at, least(c.last_used_at + $5::float8 * ${MS}, s.created_at)),
              '-infinity'), false) as is_quiet
       from rotation.credentials c left join rotation.credentials s
         on c.last_used_at is not null and s.tenant_id = c.tenant_id and s.credential_id = c.replaced_by
       where c.tenant_id = $1 and c.credential_id = $2`,
      [tenantId, id, quietMs, MAX_REPORT_AGE_MS * 2, UNSEEN_MS],
    );
    return rows[0]?.is_quiet === true;
  },
};

async function update(
  db: Db,
  ref: CaseRef,
  set: string,
  values: readonly unknown[],
): Promise<void> {
  await db.query(`update rotation.evidence_cases c set ${set} where ${IS_CASE}`, [
    ...keyOf(ref),
    ...values,
  ]);
}

/** The claim commits before what it holds is read: it is a row's lock, and nothing else waits. */
async function claim(db: Db, limit: number, holdMs: number): Promise<HeldCase[]> {
  const claimed = await db.query<{ tenant_id: string; successor_id: string }>(
    `update rotation.evidence_cases c set look_after = clock_timestamp() + $2 * ${MS}
     from (select tenant_id, successor_id from rotation.evidence_cases
       where not is_done and look_after <= clock_timestamp()
       order by look_after limit $1 for update skip locked) due
     where c.tenant_id = due.tenant_id and c.successor_id = due.successor_id
     returning c.tenant_id, c.successor_id`,
    [limit, holdMs],
    { name: "claim_evidence_cases" },
  );
  if (claimed.rows.length === 0) return [];
  const { rows } = await db.query<HeldRow>(
    `select ${HELD_COLUMNS}
     from unnest($1::text[], $2::uuid[]) as held (tenant_id, successor_id)
     join rotation.evidence_cases c using (tenant_id, successor_id) ${JOIN_OLD}
     where not c.is_done`,
    [claimed.rows.map((row) => row.tenant_id), claimed.rows.map((row) => row.successor_id)],
  );
  return rows.map(fromHeldRow);
}

async function readAgents(
  db: Db,
  tenantId: string,
  agentIds: readonly string[],
  lock: "" | "for share",
) {
  const { rows } = await db.query<ProcessesRow & { coming: bigint[] }>(
    `select ${AGENT_COLUMNS}, a.processes, array(
       select g.generation from rotation.generations g
       where g.tenant_id = a.tenant_id and g.agent_id = a.agent_id
         and g.generation > a.applied and g.generation <= a.desired order by 1) as coming
     from rotation.agents a
     where a.tenant_id = $1 and ${IS_LIVING} and (a.agent_id = any($2::uuid[]) or a.desired = 0)
     order by a.agent_id ${lock && `${lock} of a`}`,
    [tenantId, agentIds],
  );
  return rows.map((row) => {
    const { processes, coming } = row;
    return { agent: agentFromRow(row), processes, coming: coming.map(BigInt) };
  });
}

function keyOf({ tenantId, successorId }: CaseRef): [string, string] {
  return [tenantId, successorId];
}

function fromHeldRow(row: HeldRow): HeldCase {
  return {
    ...fromRow(row),
    hash: row.hash,
    agentsBefore: row.agents_before,
    mayRekey: row.may_rekey,
    ageMs: row.age_ms,
    elapsedPercent: row.elapsed_percent,
  };
}

function fromRow(row: CaseRow): EvidenceCase {
  return {
    tenantId: row.tenant_id,
    successorId: row.successor_id,
    credentialId: row.credential_id,
    stage: row.stage,
    secretName: row.secret_name,
    fromVersion: row.from_version,
    secretVersion: row.secret_version ?? undefined,
    begunBy: row.begun_by,
    begunAt: row.begun_at,
    storedAt: row.stored_at ?? undefined,
    deadline: row.deadline ?? undefined,
    endedAt: row.ended_at ?? undefined,
    rolloutId: row.rollout_id ?? undefined,
    laggards: row.laggards,
    laggardCount: row.laggard_count,
    lookedAt: row.looked_at ?? undefined,
    alarmed: row.alarmed,
    problem: row.problem,
  };
}
