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
 * hands are left out; when the named one's was, throws TAMPERED.
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
  const snapshots = await deps.catalog.snapshot(genuine, requestIdOf(rolloutId, genuine));
  return { snapshots, leftOut };
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
