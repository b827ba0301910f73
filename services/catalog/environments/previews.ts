import { isAppError } from "../../../lib/errors";
import type { Pool } from "../../../lib/postgres/db";
import { withTransactionRetry } from "../../../lib/postgres/transaction";
import type { SecretRef } from "../domain/environment-set";
import { setChange, type SetChange } from "../domain/set-change";
import type { SnapshotFacts, SnapshotStore } from "../store/snapshot-store";
import { createComposer, type AgentToSnapshot, type Composer } from "./compose-snapshot";
import { spawnSecretsGone } from "./snapshot-errors";

/** One agent, and the generation to compare with. */
export interface AgentToPreview {
  agent: AgentToSnapshot;
  fromGeneration: bigint;
}

/** What a snapshot would change for an agent. */
export interface EnvironmentPreview extends SetChange {
  agentId: string;
  missingNames: readonly string[];
  /** Why it would get none; empty: it would. */
  refusal: string;
}

/**
 * Says what snapshots of these agents would change, in the order of the question. Takes no lock and
 * leaves nothing: what it says may be overtaken by the next write of a secret.
 */
export type PreviewEnvironments = (
  tenantId: string,
  wanted: readonly AgentToPreview[],
) => Promise<EnvironmentPreview[]>;

export interface PreviewsDeps {
  pool: Pool;
  store: Pick<SnapshotStore, "read" | "readGenerations">;
}

export function createPreviews({ pool, store }: PreviewsDeps): PreviewEnvironments {
  return (tenantId, wanted) =>
    withTransactionRetry(pool, async (tx) => {
      const agents = wanted.map(({ agent }) => agent);
      const facts = await store.read(tx, {
        tenantId,
        agentIds: agents.map(({ agentId }) => agentId),
        workspaces: unique(agents.map(({ workspace }) => workspace)),
        developers: unique(agents.map(({ developer }) => developer)),
        vmIds: unique(agents.map(({ vmId }) => vmId)),
        setIds: [],
        request: undefined,
      });
      const refs = wanted.map(({ agent: { agentId }, fromGeneration: generation }) => ({
        agentId,
        generation,
      }));
      const stored = await store.readGenerations(tx, tenantId, refs);
      const setOf = new Map(stored.map((row) => [row.agentId, row.refs]));
      const composer = createComposer(facts);
      return agents.map((agent) =>
        preview(agent, setOf.get(agent.agentId) ?? [], { composer, facts }),
      );
    });
}

function preview(
  agent: AgentToSnapshot,
  from: readonly SecretRef[],
  { composer, facts }: { composer: Composer; facts: SnapshotFacts },
): EnvironmentPreview {
  const { agentId } = agent;
  try {
    if (agent.expectsSpawnSecrets && !facts.spawnSecrets.has(agentId))
      throw spawnSecretsGone(agent);
    const { set, missingNames } = composer.compose(agent, undefined);
    return { agentId, missingNames, refusal: "", ...setChange(from, set.refs) };
  } catch (error) {
    if (!isAppError(error)) throw error;
    const nothing = { addedNames: [], changedNames: [], removedNames: [] };
    return { agentId, missingNames: [], refusal: error.message, ...nothing };
  }
}

function unique(texts: readonly string[]): string[] {
  return [...new Set(texts)];
}
