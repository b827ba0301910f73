import type { Pool, Tx } from "../../../lib/postgres/db";
import { withTransactionRetry } from "../../../lib/postgres/transaction";
import type { Announcer } from "../announce/announcer";
import type { LocalAnnouncement } from "../announce/announcement";
import type { Caller } from "../audit";
import type { CatalogClient } from "../catalog/catalog-client";
import { isEnding, joinsOpenRollouts, openingState, raiseDesired } from "../protocol";
import type { Snapshot } from "../rollouts/domain/plan-rekey";
import type { RolloutSignals } from "../rollouts/rollout-signals";
import type { RolloutStore } from "../rollouts/store/rollout-store";
import { requireGenuine, type ChangedRecordsDeps } from "./changed-records";
import { generationOrNone, type Agent, type LaunchableAgent } from "./domain/agent";
import type { AgentWriter } from "./store/agent-store";

export interface GiveGenerationDeps extends ChangedRecordsDeps {
  pool: Pool;
  writer: Pick<AgentWriter, "lockTree" | "lockAgent">;
  rollouts: Pick<RolloutStore, "lockOpenOf" | "recordGeneration">;
  catalog: Pick<CatalogClient, "snapshot">;
  announcer: Pick<Announcer, "record" | "deliver">;
  signals: Pick<RolloutSignals, "changed">;
}

export interface GenerationWish {
  requestId: string;
  rollbackTo?: bigint | undefined;
}

/**
 * Gives an agent whose row is committed a generation outside of a rekey (its first, or one in place
 * of one that is gone), announces it, and lets it join the open rollouts of its ancestors. Safe to
 * repeat: to the same request id the catalog answers the same snapshot. An agent that was killed
 * meanwhile gets nothing; throws TAMPERED for one whose record was changed by other hands. With
 * `rollbackTo` it gets the pins of that generation.
 */
export async function giveGeneration(
  deps: GiveGenerationDeps,
  caller: Caller,
  agent: Agent,
  { requestId, rollbackTo }: GenerationWish,
): Promise<Snapshot | undefined> {
  const genuine = await requireGenuine(deps, caller, agent);
  const back = rollbackTo === undefined ? undefined : new Map([[agent.id, rollbackTo]]);
  const [snapshot] = await deps.catalog.snapshot([genuine], requestId, back);
  if (!snapshot) return undefined;
  const { announcements, joined } = await withTransactionRetry(deps.pool, (tx) =>
    record(deps, tx, agent, snapshot),
  );
  deps.announcer.deliver(announcements);
  for (const rolloutId of joined) deps.signals.changed({ tenantId: agent.tenantId, rolloutId });
  return snapshot;
}

async function record(
  { writer, rollouts, announcer }: GiveGenerationDeps,
  tx: Tx,
  { tenantId, id, rootId }: Agent,
  snapshot: Snapshot,
): Promise<{ announcements: readonly LocalAnnouncement[]; joined: readonly string[] }> {
  await writer.lockTree(tx, tenantId, rootId, "share");
  const agent = await writer.lockAgent(tx, tenantId, id);
  if (!agent || isEnding(agent)) return { announcements: [], joined: [] };
  const open = await rollouts.lockOpenOf(tx, agent);
  const joined = joinsOpenRollouts(agent, open).map((rollout) => rollout.id);
  const desired = raiseDesired(agent.desired, snapshot.generation);
  if (desired === agent.desired && joined.length === 0) return { announcements: [], joined };
  const applied = generationOrNone(agent.applied);
  const { generation } = snapshot;
  const state = openingState(generation, { applied, ending: false });
  await rollouts.recordGeneration(tx, {
    snapshot,
    target: { agent, generation, state, reason: "" },
    rolloutIds: joined,
  });
  const announcements = await announcer.record(tx, id, [raisedTo(agent, desired, snapshot)]);
  return { announcements, joined };
}

function raisedTo(agent: LaunchableAgent, desired: bigint, snapshot: Snapshot): LaunchableAgent {
  const isRaised = desired !== agent.desired;
  return {
    ...agent,
    desired,
    fingerprint: isRaised ? snapshot.fingerprint : agent.fingerprint,
    revision: agent.revision + 1n,
  };
}
