import type { Tx } from "../../../lib/postgres/db";
import { type Caller, detailOf } from "../audit";
import { fromTuple, toTuple, type RefTuple, type SecretRef } from "../domain/environment-set";
import {
  LOCK_AGENTS,
  READ_DEAD_VERSIONS,
  READ_FACTS,
  READ_GENERATIONS,
  WRITE_SNAPSHOT,
} from "./snapshot-statements";
import type {
  LeaseOwner,
  LockedAgent,
  NewSnapshot,
  SnapshotFacts,
  SnapshotQuery,
  SnapshotStore,
  StoredGeneration,
  StoredSnapshot,
} from "./snapshot-store";

/** Another call with the same request id was quicker: this one is done again and finds its answer. */
export class RequestRepeated extends Error {
  constructor() {
    super("another call with this request id was quicker");
    this.name = "RequestRepeated";
  }
}

interface FactsRow {
  secrets: RefTuple[] | null;
  workspaces: [string, string[] | null][] | null;
  spawn_secrets: [string, RefTuple][] | null;
  user_secrets: RefTuple[] | null;
  token_secrets: [string, string][] | null;
  sets: [string, RefTuple[]][] | null;
  vm_ids: string[] | null;
  earlier: [string, string, StoredSnapshot[]] | null;
}

/** SnapshotStore in PostgreSQL. */
export function createPostgresSnapshotStore(): SnapshotStore {
  return { lock, read, readGenerations, readDeadVersions, write };
}

async function lock(tx: Tx, tenantId: string, agentIds: readonly string[]) {
  const { rows } = await tx.query<{
    agent_id: string;
    generation: bigint;
    floor: bigint;
    set_id: Buffer | null;
    delivered_names: string[];
    has_ended: boolean;
    lease_owner_kind: LeaseOwner["kind"] | null;
    lease_owner_id: string | null;
  }>(LOCK_AGENTS, [tenantId, [...agentIds].sort()], { name: "lock-agents" });
  return new Map(
    rows.map((row): [string, LockedAgent] => [
      row.agent_id,
      {
        agentId: row.agent_id,
        generation: row.generation,
        floor: row.floor,
        setId: row.set_id ?? undefined,
        deliveredNames: row.delivered_names,
        hasEnded: row.has_ended,
        leaseOwner: toLeaseOwner(row.lease_owner_kind, row.lease_owner_id),
      },
    ]),
  );
}

function toLeaseOwner(kind: LeaseOwner["kind"] | null, id: string | null): LeaseOwner | undefined {
  return kind === null || id === null ? undefined : { kind, id };
}

async function read(tx: Tx, query: SnapshotQuery): Promise<SnapshotFacts> {
  const { rows } = await tx.query<FactsRow>(
    READ_FACTS,
    [
      ...[query.tenantId, query.workspaces, query.agentIds, query.vmIds, query.setIds],
      ...[query.request?.actor ?? null, query.request?.id ?? null],
      // The owner "" is the tenant, whose secrets the workspaces choose from.
      query.developers.filter((developer) => developer !== ""),
    ],
    { name: "read-snapshot-facts" },
  );
  const [row] = rows;
  if (!row) throw new Error("a select of sub-selects gives one row");
  const userRefs = (row.user_secrets ?? []).map(fromTuple);
  return {
    secrets: (row.secrets ?? []).map(fromTuple),
    workspaces: new Map((row.workspaces ?? []).map(([name, refs]) => [name, refs ?? undefined])),
    userSecrets: grouped(userRefs.map((ref) => [ref.source?.developer ?? "", ref])),
    tokenSecrets: new Map(row.token_secrets ?? []),
    spawnSecrets: grouped((row.spawn_secrets ?? []).map(([id, ref]) => [id, fromTuple(ref)])),
    sets: new Map((row.sets ?? []).map(([id, refs]) => [id, refs.map(fromTuple)])),
    vmIds: new Set(row.vm_ids ?? []),
    earlier: row.earlier ? toEarlier(row.earlier) : undefined,
  };
}

function grouped(pairs: readonly [string, SecretRef][]): Map<string, SecretRef[]> {
  const groups = new Map<string, SecretRef[]>();
  for (const [key, ref] of pairs) {
    const group = groups.get(key);
    if (group) group.push(ref);
    else groups.set(key, [ref]);
  }
  return groups;
}

function toEarlier([dataKeyId, bodyHash, snapshots]: [string, string, StoredSnapshot[]]) {
  return { dataKeyId, bodyHash: Buffer.from(bodyHash, "hex"), snapshots };
}

async function readGenerations(
  tx: Tx,
  tenantId: string,
  refs: readonly { agentId: string; generation: bigint }[],
): Promise<StoredGeneration[]> {
  const { rows } = await tx.query<{
    agent_id: string;
    generation: bigint;
    vm_id: string;
    set_id: Buffer;
    unset_names: string[];
    data_key_id: string;
    mac: Buffer;
    floor: bigint;
    refs: RefTuple[];
  }>(READ_GENERATIONS, [
    tenantId,
    refs.map(({ agentId }) => agentId),
    refs.map(({ generation }) => generation),
  ]);
  return rows.map((row) => ({
    agentId: row.agent_id,
    generation: row.generation,
    vmId: row.vm_id,
    setId: row.set_id,
    unsetNames: row.unset_names,
    dataKeyId: row.data_key_id,
    mac: row.mac,
    floor: row.floor,
    refs: row.refs.map(fromTuple),
  }));
}

async function readDeadVersions(
  tx: Tx,
  tenantId: string,
  versionIds: readonly string[],
): Promise<Set<string>> {
  const { rows } = await tx.query<{ id: string }>(READ_DEAD_VERSIONS, [tenantId, versionIds]);
  return new Set(rows.map(({ id }) => id));
}

async function write(tx: Tx, caller: Caller, snapshot: NewSnapshot): Promise<void> {
  const { request } = snapshot;
  const { rows } = await tx.query<{ is_answered: boolean }>(
    WRITE_SNAPSHOT,
    [
      ...[caller.tenantId, caller.kind, caller.id, caller.peer, snapshot.dataKeyId],
      JSON.stringify([...snapshot.sets].map(toSetRecord)),
      JSON.stringify(snapshot.generations.map(toGenerationRecord)),
      JSON.stringify(snapshot.audit.map((entry) => toAuditRecord(caller, entry))),
      request?.id ?? null,
      request?.bodyHash ?? null,
      request ? JSON.stringify(request.answer) : null,
      snapshot.generations.map(({ agentId }) => agentId),
    ],
    { name: "write-snapshot" },
  );
  if (!rows[0]?.is_answered) throw new RequestRepeated();
}

function toSetRecord([setId, refs]: [string, readonly SecretRef[]]) {
  return { set_id: setId, refs: refs.map(toTuple) };
}

function toGenerationRecord(fresh: NewSnapshot["generations"][number]) {
  return {
    agent_id: fresh.agentId,
    generation: String(fresh.generation),
    workspace: fresh.workspace,
    vm_id: fresh.vmId,
    set_id: fresh.setId.toString("hex"),
    unset_names: fresh.unsetNames,
    delivered_names: fresh.deliveredNames,
    mac: fresh.mac.toString("hex"),
  };
}

function toAuditRecord(caller: Caller, entry: NewSnapshot["audit"][number]) {
  const { action, objectKind, objectId, outcome, detail } = entry;
  const names = { action, object_kind: objectKind, object_id: objectId };
  return { ...names, outcome, detail: detailOf(caller, detail) };
}
