import { createHash } from "node:crypto";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { isAppError } from "../../../lib/errors";
import type { GenuineAgent } from "../agents/agent-bindings";
import {
  alarmOfChangedRecord,
  requireGenuine,
  type ChangedRecordsDeps,
} from "../agents/changed-records";
import { agentChanged, agentEnded } from "../agents/domain/agent-errors";
import type { AgentStore, AgentTree } from "../agents/store/agent-store";
import type { Caller } from "../audit";
import type { CatalogClient } from "../catalog/catalog-client";
import { rekeyScope } from "../protocol";
import { hasLiving, type Snapshot } from "./domain/plan-rekey";

/** What the catalog says of one agent, naming it; what is left of the tree does not suffer for it. */
const OWN_FAULTS: ReadonlySet<ErrorReason> = new Set([
  ErrorReason.ERROR_REASON_TAMPERED,
  ErrorReason.ERROR_REASON_SPAWN_SECRETS_GONE,
  ErrorReason.ERROR_REASON_AGENT_ENDED,
]);
/** Each costs a call: a tree with more of them is refused as a whole. */
const MAX_REFUSED = 32;

export interface SnapshotTreeDeps extends ChangedRecordsDeps {
  agents: Pick<AgentStore, "findTree">;
  catalog: Pick<CatalogClient, "snapshot">;
  /** Carries out removals of VMs that the catalog knows of and this service does not yet. */
  catchUpRemovals: () => Promise<void>;
}

export interface TreeSnapshots {
  snapshots: readonly Snapshot[];
  /** Why living agents got none, by id. */
  leftOut: ReadonlyMap<string, string>;
}

/**
 * One new generation for each living agent of a tree. Agents whose records were changed by other
 * hands are left out, and those that the catalog refuses by themselves; when it is the named one,
 * throws what is wrong with it.
 */
export async function snapshotTree(
  deps: SnapshotTreeDeps,
  caller: Caller,
  tree: AgentTree,
  rolloutId: string,
): Promise<TreeSnapshots> {
  try {
    return await snapshotLiving(deps, caller, tree, rolloutId);
  } catch (error) {
    if (!isAppError(error) || error.reason !== ErrorReason.ERROR_REASON_VM_REMOVED) throw error;
  }
  await deps.catchUpRemovals();
  const { tenantId, workspace, path } = tree.agent;
  const fresh = await deps.agents.findTree(tenantId, workspace, path);
  if (!fresh || !hasLiving(fresh.agent, fresh.descendants))
    throw agentEnded(path, fresh?.agent ?? { phase: "cancelled", killRequested: true });
  return snapshotLiving(deps, caller, fresh, rolloutId);
}

async function snapshotLiving(
  deps: SnapshotTreeDeps,
  caller: Caller,
  { agent, descendants }: AgentTree,
  rolloutId: string,
): Promise<TreeSnapshots> {
  await requireGenuine(deps, caller, agent);
  const genuine: GenuineAgent[] = [];
  const leftOut = new Map<string, string>();
  for (const target of rekeyScope(agent, descendants).targets) {
    if (deps.bindings.isGenuine(target)) genuine.push(target);
    else {
      alarmOfChangedRecord(deps.log, target);
      leftOut.set(target.id, agentChanged(target).message);
    }
  }
  for (let rounds = 1; ; rounds++) {
    try {
      const snapshots = await deps.catalog.snapshot(genuine, requestIdOf(rolloutId, genuine));
      return { snapshots, leftOut };
    } catch (error) {
      const at = genuine.findIndex(({ id }) => id === refusedAgentId(error));
      const refused = genuine[at];
      if (!isAppError(error) || !refused || refused.id === agent.id || rounds > MAX_REFUSED)
        throw error;
      const { tenantId, id, path } = refused;
      deps.log.warn("agent is left out of a rekey", { tenantId, agentId: id, path, error });
      leftOut.set(id, error.message);
      genuine.splice(at, 1);
    }
  }
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
