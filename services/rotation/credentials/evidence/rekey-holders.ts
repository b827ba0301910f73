import { randomUUID } from "node:crypto";
import { digestOf } from "../../agents/domain/agent";
import type { AgentStore, AgentWriter } from "../../agents/store/agent-store";
import type { Caller } from "../../audit";
import { missingNamesWarnings } from "../../rollouts/domain/warnings";
import { openRollout, type OpenRolloutDeps } from "../../rollouts/open-rollout";
import {
  snapshotAgents,
  type SnapshotAgentsDeps,
  withRemovals,
} from "../../rollouts/snapshot-agents";
import type { NewRollout, RolloutStore } from "../../rollouts/store/rollout-store";
import type { EvidenceCase } from "./domain/evidence-case";

export interface RekeyHoldersDeps extends SnapshotAgentsDeps, OpenRolloutDeps {
  pool: OpenRolloutDeps["pool"];
  agents: Pick<AgentStore, "findAll">;
  writer: OpenRolloutDeps["writer"] & Pick<AgentWriter, "lockAgents">;
  rollouts: OpenRolloutDeps["rollouts"] & Pick<RolloutStore, "rolledBackTo">;
}

/** Locked and snapshotted in one go; the others have their turn with the next look. */
const MAX_AT_ONCE = 500;

/**
 * Gives these agents a new generation, as one rollout, but for those that somebody took back since: they
 * have what they were given on purpose. Undefined when none is left. It does not have to be the only one,
 * nor the last: what still needs one is seen by the next look.
 */
export async function rekeyHolders(
  deps: RekeyHoldersDeps,
  caller: Caller,
  { credentialId, secretName }: EvidenceCase,
  agentIds: readonly string[],
): Promise<string | undefined> {
  const { tenantId } = caller;
  const found = await deps.agents.findAll(tenantId, agentIds.slice(0, MAX_AT_ONCE));
  const takenBack = await Promise.all(
    found.map(({ id, desired }) => deps.rollouts.rolledBackTo(tenantId, id, desired)),
  );
  const agents = found.filter((_, at) => takenBack[at] === undefined);
  if (agents.length === 0) return undefined;
  const rolloutId = randomUUID();
  const ids = agents.map(({ id }) => id);
  const taken = await withRemovals(deps, async (isAgain) => {
    const living = isAgain ? await deps.agents.findAll(tenantId, ids) : agents;
    return snapshotAgents(deps, caller, { rolloutId, agents: living });
  });
  const reason = `credential ${credentialId} was rotated`;
  const rollout: NewRollout = {
    ...{ tenantId, id: rolloutId, requestHash: digestOf("evidence", credentialId), reason },
    ...{ kind: "rekey", rollsBack: undefined, requestedBy: caller.id },
    subject: { agentId: undefined, workspace: "", path: "", secretName },
    warnings: missingNamesWarnings(agents, taken.snapshots),
  };
  const lock = (tx: Parameters<AgentWriter["lockAgents"]>[0]) =>
    deps.writer.lockAgents(tx, tenantId, ids);
  await openRollout(deps, { ...taken, caller, rollout, requestId: "", agents, lock });
  return rolloutId;
}
