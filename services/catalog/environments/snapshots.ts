import { timingSafeEqual } from "node:crypto";
import { invalidFields } from "../../../lib/errors";
import type { Pool, Tx } from "../../../lib/postgres/db";
import { withTransactionRetry } from "../../../lib/postgres/transaction";
import type { Caller } from "../audit";
import type { DataKey } from "../domain/data-key";
import { macOf } from "../domain/envelope";
import type { TenantKeys } from "../keys/tenant-keys";
import { requestIdReused } from "../secrets/secret-errors";
import { RequestRepeated } from "../store/postgres-snapshot-store";
import type {
  EarlierAnswer,
  LeaseOwner,
  SnapshotStore,
  StoredSnapshot,
} from "../store/snapshot-store";
import { createComposer, type AgentToSnapshot } from "./compose-snapshot";
import type { SetDigests } from "./set-digests";
import { toGenerations, type FreshGenerations } from "./fresh-generations";
import { type OpenKeys, withOpenKeys } from "./open-keys";
import { resolveRollbacks } from "./resolve-rollbacks";
import { agentEnded, foreignSpawnSecrets, spawnSecretsGone } from "./snapshot-errors";
import { snapshotFaults } from "./snapshot-faults";

/** How often a call is done again that another one with its request id outran. */
const MAX_TRIES = 3;

/** One new generation, as its caller is told. */
export interface Snapshot {
  agentId: string;
  generation: bigint;
  /** What the VM must show in its ack. */
  fingerprint: Buffer;
  isUnchanged: boolean;
  changedNames: string[];
  missingNames: string[];
  notRolledBackNames: string[];
}

export interface SnapshotsDeps {
  pool: Pool;
  store: SnapshotStore;
  keys: TenantKeys;
  digests: SetDigests;
}

interface Attempt {
  tx: Tx;
  caller: Caller;
  agents: readonly AgentToSnapshot[];
  requestId: string;
  keys: OpenKeys;
}

/** The call was made before: its transaction is rolled back, and the answer given again. */
class DoneBefore extends Error {
  constructor(readonly answer: EarlierAnswer) {
    super("the call was made before");
    this.name = "DoneBefore";
  }
}

/**
 * Makes one generation for each agent, all or none, in the order of the question. With a request id
 * a repeated call gives the first answer for an hour. Throws INVALID_ARGUMENT, NOT_FOUND and
 * FAILED_PRECONDITION as the contract says, UNAVAILABLE when a dependency is away.
 */
export type TakeSnapshots = (
  caller: Caller,
  agents: readonly AgentToSnapshot[],
  requestId: string,
) => Promise<Snapshot[]>;

export function createSnapshots(deps: SnapshotsDeps): TakeSnapshots {
  return async (caller, agents, requestId) => {
    const faults = snapshotFaults(agents, requestId);
    if (faults.length > 0) throw invalidFields(faults);
    try {
      const stored = await takeUntilFirst(deps, caller, agents, requestId);
      return stored.map(fromStored);
    } catch (error) {
      if (!(error instanceof DoneBefore)) throw error;
      await checkSameBody(deps.keys, caller.tenantId, error.answer, { agents, requestId });
      return error.answer.snapshots.map(fromStored);
    }
  };
}

async function takeUntilFirst(
  deps: SnapshotsDeps,
  caller: Caller,
  agents: readonly AgentToSnapshot[],
  requestId: string,
): Promise<StoredSnapshot[]> {
  for (let tries = 1; ; tries++) {
    try {
      return await withOpenKeys(deps.keys, caller.tenantId, (keys) =>
        withTransactionRetry(deps.pool, (tx) =>
          take(deps, { tx, caller, agents, requestId, keys }),
        ),
      );
    } catch (error) {
      if (!(error instanceof RequestRepeated) || tries >= MAX_TRIES) throw error;
    }
  }
}

/** The lock comes first, what is pinned is read in a later statement (SnapshotStore says why). */
async function take(deps: SnapshotsDeps, attempt: Attempt): Promise<StoredSnapshot[]> {
  const { tx, caller, agents, requestId, keys } = attempt;
  const { tenantId } = caller;
  const agentIds = agents.map(({ agentId }) => agentId);
  const locked = await deps.store.lock(tx, tenantId, agentIds);
  const facts = await deps.store.read(tx, {
    tenantId,
    agentIds,
    workspaces: unique(agents.map(({ workspace }) => workspace)),
    developers: unique(agents.map(({ developer }) => developer)),
    vmIds: unique(agents.map(({ vmId }) => vmId)),
    setIds: [...locked.values()].flatMap(({ setId }) => (setId ? [setId] : [])),
    request: requestId === "" ? undefined : { actor: caller.id, id: requestId },
  });
  if (facts.earlier) throw new DoneBefore(facts.earlier);
  const ended = agents.find(({ agentId }) => locked.get(agentId)?.hasEnded);
  if (ended) throw agentEnded(ended);
  const planted = agents.find((agent) => isForeign(locked.get(agent.agentId)?.leaseOwner, agent));
  if (planted) throw foreignSpawnSecrets(planted);
  const bereft = agents.find(
    ({ agentId, expectsSpawnSecrets }) => expectsSpawnSecrets && !facts.spawnSecrets.has(agentId),
  );
  if (bereft) throw spawnSecretsGone(bereft);
  const rollbacks = await resolveRollbacks(deps.store, { tx, tenantId, agents, locked, keys });
  const composer = createComposer(facts);
  const composed = agents.map((agent) => ({
    agent,
    ...composer.compose(agent, rollbacks.get(agent.agentId)),
  }));
  const digests = await deps.digests.of(tx, { tenantId, keys }, composed);
  const key = keys.current;
  const fresh = toGenerations({ tenantId, key, locked, sets: facts.sets, digests }, composed);
  await store(deps.store, attempt, fresh);
  return fresh.snapshots;
}

/** A developer's secrets are for that developer's agents, a VM's for the agents on it. */
function isForeign(owner: LeaseOwner | undefined, { developer, vmId }: AgentToSnapshot): boolean {
  if (!owner) return false;
  return owner.id !== (owner.kind === "vm" ? vmId : developer);
}

async function store(
  snapshots: SnapshotStore,
  { tx, caller, agents, requestId, keys }: Attempt,
  fresh: FreshGenerations,
): Promise<void> {
  const bodyHash = bodyHashOf(keys.current, agents);
  const answer = fresh.snapshots;
  await snapshots.write(tx, caller, {
    dataKeyId: keys.current.id,
    generations: fresh.generations,
    sets: fresh.sets,
    request: requestId === "" ? undefined : { actor: caller.id, id: requestId, bodyHash, answer },
    audit: answer.map(({ agentId, generation }) => ({
      action: "environment.snapshot",
      objectKind: "agent",
      objectId: agentId,
      outcome: "ok",
      detail: { generation: Number(generation) },
    })),
  });
}

async function checkSameBody(
  keys: TenantKeys,
  tenantId: string,
  { dataKeyId, bodyHash }: EarlierAnswer,
  { agents, requestId }: { agents: readonly AgentToSnapshot[]; requestId: string },
): Promise<void> {
  const key = await keys.find(tenantId, dataKeyId);
  if (!key || !timingSafeEqual(bodyHashOf(key, agents), bodyHash)) throw requestIdReused(requestId);
}

function bodyHashOf(key: DataKey, agents: readonly AgentToSnapshot[]): Buffer {
  const parts = agents.flatMap((agent) => [
    ...[agent.agentId, agent.workspace, agent.vmId, agent.developer],
    ...[String(agent.rollbackTo ?? ""), String(agent.expectsSpawnSecrets)],
  ]);
  return macOf(key.subkey("request-hash"), ["snapshot-environments", ...parts]);
}

function fromStored(stored: StoredSnapshot): Snapshot {
  return {
    ...stored,
    generation: BigInt(stored.generation),
    fingerprint: Buffer.from(stored.fingerprint, "hex"),
  };
}

function unique(texts: readonly string[]): string[] {
  return [...new Set(texts)];
}
