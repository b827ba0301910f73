import { ErrorReason } from "../../../../gen/murmur/errors/v1/error_reason";
import { failedPrecondition, unauthenticated } from "../../../../lib/errors";
import type { Tx } from "../../../../lib/postgres/db";
import { generationOrNone, type Agent } from "../../agents/domain/agent";
import { AGENT_COLUMNS, fromRow, IS_LIVING, type AgentRow } from "../../agents/store/agent-row";
import { isHelloCurrent, mergeHello } from "../../protocol";
import type { VmHello } from "../domain/evidence";
import type { VmConnection } from "./evidence-store";

interface KnownVm {
  key_thumbprint: string;
  ended_keys: string[];
  boot_id: string;
  incarnation: string;
  incarnation_number: bigint;
  removed_at: Date | null;
  silent_seconds: bigint;
}

/** Makes the VM known in its present life, and believes what it says that it has. */
export async function recordHello(
  tx: Tx,
  hello: VmHello,
  connection: VmConnection,
): Promise<Agent[]> {
  const known = await lockVm(tx, hello);
  const isOtherMachine = known !== undefined && known.key_thumbprint !== hello.keyThumbprint;
  if (known) assertMaySpeak(known, hello, isOtherMachine);
  await writeVm(tx, hello, connection);
  return replaceApplied(tx, hello);
}

async function lockVm(tx: Tx, { from }: VmHello): Promise<KnownVm | undefined> {
  const { rows } = await tx.query<KnownVm>(
    `select key_thumbprint, ended_keys, boot_id, incarnation, incarnation_number, removed_at,
       greatest(0, extract(epoch from clock_timestamp() - last_seen_at))::bigint as silent_seconds
     from rotation.vms where tenant_id = $1 and vm_id = $2 for update`,
    [from.tenantId, from.vmId],
    { name: "lock_vm" },
  );
  return rows[0];
}

/**
 * A machine that was joined again under the name has another key and counts its starts afresh; from
 * then on the old key, whose token may live for some minutes more, is not listened to.
 */
function assertMaySpeak(known: KnownVm, hello: VmHello, isOtherMachine: boolean): void {
  if (known.removed_at || known.ended_keys.includes(hello.keyThumbprint)) throw unauthenticated();
  if (isOtherMachine || isOfCurrentLife(known, hello)) return;
  throw failedPrecondition(
    ErrorReason.ERROR_REASON_INCARNATION_SUPERSEDED,
    `another life of this VM's daemon, number ${known.incarnation_number}, was heard of`,
    {
      incarnation_number: String(known.incarnation_number),
      silent_seconds: String(known.silent_seconds),
    },
  );
}

/**
 * A number is taken by the life that first says it: of two machines with one disk image, the second
 * would otherwise take the stream from the first, and the first from the second, for ever.
 */
function isOfCurrentLife(known: KnownVm, { from }: VmHello): boolean {
  const life = { bootId: known.boot_id, incarnation: known.incarnation_number };
  if (!isHelloCurrent(life, from)) return false;
  return from.incarnation > life.incarnation || from.incarnationName === known.incarnation;
}

async function writeVm(tx: Tx, hello: VmHello, connection: VmConnection): Promise<void> {
  const { from } = hello;
  const { replicaId, streamId } = connection;
  await tx.query(
    `insert into rotation.vms as v (tenant_id, vm_id, name, key_thumbprint, boot_id, incarnation,
       incarnation_number, last_contact, replica_id, stream_id)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
     on conflict (tenant_id, vm_id) do update
     set name = excluded.name,
         ended_keys = case when v.key_thumbprint = excluded.key_thumbprint then v.ended_keys
           else v.ended_keys || v.key_thumbprint end,
         key_thumbprint = excluded.key_thumbprint, boot_id = excluded.boot_id,
         incarnation = excluded.incarnation, incarnation_number = excluded.incarnation_number,
         last_seen_at = clock_timestamp(),
         last_contact = case when excluded.stream_id is not null then 'stream'
           when v.stream_id is not null then v.last_contact else 'sync' end,
         replica_id = coalesce(excluded.replica_id, v.replica_id),
         stream_id = coalesce(excluded.stream_id, v.stream_id)`,
    [
      ...[from.tenantId, from.vmId, hello.name, hello.keyThumbprint],
      ...[from.bootId, from.incarnationName, from.incarnation],
      ...[streamId ? "stream" : "sync", streamId ? replicaId : null, streamId ?? null],
    ],
    { name: "write_vm" },
  );
}

interface BelievedRow extends AgentRow {
  /** The generation that the hello claims, when its fingerprint is the expected one. */
  proven: bigint | null;
}

async function replaceApplied(tx: Tx, hello: VmHello): Promise<Agent[]> {
  const { from, applied } = hello;
  const { rows } = await tx.query<BelievedRow>(
    `select ${AGENT_COLUMNS}, g.generation as proven
     from rotation.agents a
     left join unnest($3::uuid[], $4::bigint[], $5::bytea[])
       as c(agent_id, generation, fingerprint) on c.agent_id = a.agent_id
     left join rotation.generations g on g.tenant_id = a.tenant_id and g.agent_id = a.agent_id
       and g.generation = c.generation and g.fingerprint = c.fingerprint
     where a.tenant_id = $1 and a.vm_id = $2 and ${IS_LIVING}
     order by a.agent_id for update of a`,
    [
      ...[from.tenantId, from.vmId],
      applied.map(({ agentId }) => agentId),
      applied.map(({ generation }) => generation),
      applied.map(({ fingerprint }) => fingerprint),
    ],
    { name: "believed_of_vm" },
  );
  const believed = Object.fromEntries(
    rows.map((row) => [row.agent_id, generationOrNone(row.applied)]),
  );
  const claimed = Object.fromEntries(
    rows.flatMap((row) => (row.proven === null ? [] : [[row.agent_id, row.proven]])),
  ) as Record<string, bigint>;
  const merged = mergeHello(believed, { applied: claimed });
  const agents = rows.map((row) => ({ ...fromRow(row), applied: merged[row.agent_id] ?? 0n }));
  await writeApplied(
    tx,
    agents.filter((agent) => agent.applied !== (believed[agent.id] ?? 0n)),
  );
  return agents;
}

async function writeApplied(tx: Tx, agents: readonly Agent[]): Promise<void> {
  if (agents.length === 0) return;
  await tx.query(
    `update rotation.agents a
     set applied = c.applied, release_due = true,
         applied_at = case when c.applied > 0 then clock_timestamp() end
     from unnest($1::text[], $2::uuid[], $3::bigint[]) as c(tenant_id, agent_id, applied)
     where a.tenant_id = c.tenant_id and a.agent_id = c.agent_id`,
    [
      agents.map(({ tenantId }) => tenantId),
      agents.map(({ id }) => id),
      agents.map(({ applied }) => applied),
    ],
    { name: "write_applied" },
  );
}
