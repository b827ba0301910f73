import { createHash } from "node:crypto";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { isAppError } from "../../../lib/errors";
import type { GenuineAgent } from "../agents/agent-bindings";
import {
  alarmOfChangedRecord,
  requireGenuine,
  type ChangedRecordsDeps,
} from "../agents/changed-records";
import type { Agent } from "../agents/domain/agent";
import { agentChanged } from "../agents/domain/agent-errors";
import type { Caller } from "../audit";
import type { CatalogClient } from "../catalog/catalog-client";
import { isEnding } from "../protocol";
import type { Snapshot } from "./domain/plan-rekey";

/** What the catalog says of one agent, naming it; what is left of the others does not suffer for it. */
const OWN_FAULTS: ReadonlySet<ErrorReason> = new Set([
  ErrorReason.ERROR_REASON_TAMPERED,
  ErrorReason.ERROR_REASON_SPAWN_SECRETS_GONE,
  ErrorReason.ERROR_REASON_AGENT_ENDED,
  ErrorReason.ERROR_REASON_NOTHING_TO_ROLL_BACK,
  ErrorReason.ERROR_REASON_GENERATION_NOT_AVAILABLE,
]);
/** Each costs a call: a rollout with more of them is refused as a whole. */
const MAX_REFUSED = 32;

export interface SnapshotAgentsDeps extends ChangedRecordsDeps {
  catalog: Pick<CatalogClient, "snapshot">;
  /** Carries out removals of VMs that the catalog knows of and this service does not yet. */
  catchUpRemovals: () => Promise<void>;
}

export interface SnapshotWish {
  rolloutId: string;
  agents: readonly Agent[];
  /** What is wrong with this one is wrong with the call. */
  named?: Agent;
  /** By agent: the generation whose pins it gets. */
  rollbackTo?: ReadonlyMap<string, bigint>;
}

export interface Snapshots {
  snapshots: readonly Snapshot[];
  /** Why living agents got none, by id. */
  leftOut: ReadonlyMap<string, string>;
}

/**
 * One new generation for each of the agents that lives. Those whose records were changed by other
 * hands are left out, and those that the catalog refuses by themselves; when it is the named one,
 * throws what is wrong with it.
 */
export async function snapshotAgents(
  deps: SnapshotAgentsDeps,
  caller: Caller,
  { rolloutId, agents, named, rollbackTo }: SnapshotWish,
): Promise<Snapshots> {
  if (named) await requireGenuine(deps, caller, named);
  const genuine: GenuineAgent[] = [];
  const leftOut = new Map<string, string>();
  for (const agent of agents.filter((it) => !isEnding(it))) {
    if (deps.bindings.isGenuine(agent)) genuine.push(agent);
    else {
      alarmOfChangedRecord(deps.log, agent);
      leftOut.set(agent.id, agentChanged(agent).message);
    }
  }
  for (let rounds = 1; ; rounds++) {
    try {
      const requestId = requestIdOf(rolloutId, genuine);
      const snapshots = await deps.catalog.snapshot(genuine, requestId, rollbackTo);
      return { snapshots, leftOut };
    } catch (error) {
      const at = genuine.findIndex(({ id }) => id === refusedAgentId(error));
      const refused = genuine[at];
      if (!isAppError(error) || !refused || refused.id === named?.id || rounds > MAX_REFUSED)
        throw error;
      const { tenantId, id, path } = refused;
      deps.log.warn("agent is left out of a rollout", { tenantId, agentId: id, path, error });
      leftOut.set(id, error.message);
      genuine.splice(at, 1);
    }
  }
}

/**
 * Takes snapshots, and when the catalog says that a VM of them was removed, again with what is left
 * when the removal is carried out here, too.
 */
export async function withRemovals<T>(
  deps: Pick<SnapshotAgentsDeps, "catchUpRemovals">,
  take: (isAgain: boolean) => Promise<T>,
): Promise<T> {
  try {
    return await take(false);
  } catch (error) {
    if (!isAppError(error) || error.reason !== ErrorReason.ERROR_REASON_VM_REMOVED) throw error;
  }
  await deps.catchUpRemovals();
  return take(true);
}

/** Which agent the catalog refused all for: what is wrong with it is not wrong with the others. */
function refusedAgentId(error: unknown): string | undefined {
  return isAppError(error) && OWN_FAULTS.has(error.reason) ? error.metadata["agent_id"] : undefined;
}

/**
 * The catalog answers a repeated request id with its first answer: a tree that changed between two
 * tries of a rekey is another request.
 */
function requestIdOf(rolloutId: string, agents: readonly GenuineAgent[]): string {
  const pairs = agents.map(({ id, vmId }) => JSON.stringify([id, vmId])).sort();
  const digest = createHash("sha256").update(pairs.join("\n")).digest("base64url");
  return `rekey:${rolloutId}:${digest}`;
}
