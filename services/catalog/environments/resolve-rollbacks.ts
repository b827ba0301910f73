import { timingSafeEqual } from "node:crypto";
import type { Tx } from "../../../lib/postgres/db";
import { setIdOf } from "../domain/environment-set";
import { generationMac } from "../domain/generation-mac";
import type { LockedAgent, SnapshotStore, StoredGeneration } from "../store/snapshot-store";
import type { AgentToSnapshot, RollbackPins } from "./compose-snapshot";
import type { OpenKeys } from "./open-keys";
import { generationNotAvailable, nothingToRollBack, tampered } from "./snapshot-errors";

export interface RollbacksInput {
  tx: Tx;
  tenantId: string;
  agents: readonly AgentToSnapshot[];
  locked: ReadonlyMap<string, LockedAgent>;
  keys: OpenKeys;
}

/** Reads what the agents that go back go back to; by agent. */
export async function resolveRollbacks(
  store: SnapshotStore,
  { tx, tenantId, agents, locked, keys }: RollbacksInput,
): Promise<Map<string, RollbackPins>> {
  const wanted = agents.flatMap((agent) =>
    agent.rollbackTo === undefined ? [] : [{ agent, generation: agent.rollbackTo }],
  );
  if (wanted.length === 0) return new Map();
  for (const { agent } of wanted)
    if (locked.get(agent.agentId)?.generation === 1n) throw nothingToRollBack(agent);
  const refs = wanted.map(({ agent, generation }) => ({ agentId: agent.agentId, generation }));
  const stored = await store.readGenerations(tx, tenantId, refs);
  const versionIds = stored.flatMap((row) => row.refs.map(({ versionId }) => versionId));
  const deadVersions = await store.readDeadVersions(tx, tenantId, [...new Set(versionIds)]);
  return new Map(
    wanted.map(({ agent, generation }): [string, RollbackPins] => {
      const row = stored.find(({ agentId }) => agentId === agent.agentId);
      if (!row || row.generation < row.floor) throw generationNotAvailable(agent, generation);
      if (!isOurs(tenantId, row, keys)) throw tampered(agent.agentId);
      return [agent.agentId, { refs: row.refs, deadVersions }];
    }),
  );
}

/** A planted generation must not get a true MAC by way of a rollback. */
function isOurs(tenantId: string, row: StoredGeneration, keys: OpenKeys): boolean {
  const key = keys.need(row.dataKeyId);
  const mac = generationMac(key, { tenantId, ...row });
  return (
    mac.length === row.mac.length &&
    timingSafeEqual(mac, row.mac) &&
    setIdOf(row.refs).equals(row.setId)
  );
}
