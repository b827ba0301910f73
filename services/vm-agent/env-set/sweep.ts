import { type EnvFilesContext, requireAgentId, useAgent } from "./agent-directory";
import { toEnvSetError } from "./env-set-error";
import { readManifest } from "./inspect";
import { DATA_LINK, generationOf, isTemporaryName, KEPT_GENERATIONS } from "./layout";
import { readPage, writePage } from "./page";
import { type PinnedDirectory } from "./pinned-directory";

/** What a sweep found left over. */
export interface SweepResult {
  /** Agents whose directory was removed, since nobody knows them. */
  removedAgents: string[];
  /** Half-written generations and temporary links that were removed, as `agent/name`. */
  removedLeftovers: string[];
  /** What could not be looked at or removed, as `agent: why`; the others were swept all the same. */
  failures: string[];
}

/**
 * Removes what is over: generations beyond the kept ones, the newest and the one in force staying.
 * Off the ack path. Returns how many directories went. Throws EnvSetError.
 */
export function prune(context: EnvFilesContext, agentId: string, keep = KEPT_GENERATIONS): number {
  return (
    atAgent(context, agentId, (directory) => {
      const kept = [directory.readLink(DATA_LINK), context.staged.get(agentId)];
      const others = directory
        .list()
        .filter((name) => generationOf(name) !== undefined && !kept.includes(name))
        .sort((a, b) => compare(generationOf(b), generationOf(a)));
      const surplus = others.slice(Math.max(0, keep - 1));
      for (const name of surplus) directory.removeTree(name);
      return surplus.length;
    }) ?? 0
  );
}

/** Removes an agent's directory and all in it. No error when there is none. Throws EnvSetError. */
export function remove(context: EnvFilesContext, agentId: string): void {
  requireAgentId(agentId);
  context.prepared.delete(agentId);
  context.staged.delete(agentId);
  try {
    context.agents.get().removeTree(agentId);
  } catch (error) {
    throw toEnvSetError(error, `agent ${agentId}`);
  }
}

/**
 * Cleans up after a crash, before the first swap: directories of agents that `knownAgentIds` lacks,
 * temporary links, half-written generations and those that were whole but never came into force;
 * and writes pages that a crash left behind their generation.
 */
export function sweep(context: EnvFilesContext, knownAgentIds: ReadonlySet<string>): SweepResult {
  const result: SweepResult = { removedAgents: [], removedLeftovers: [], failures: [] };
  for (const name of context.agents.get().list()) {
    context.prepared.delete(name);
    try {
      if (knownAgentIds.has(name)) {
        const removed = atAgent(context, name, (directory) => sweepAgent(context, directory)) ?? [];
        result.removedLeftovers.push(...removed.map((leftover) => `${name}/${leftover}`));
      } else {
        context.agents.get().removeTree(name);
        result.removedAgents.push(name);
      }
    } catch (error) {
      result.failures.push(`${name}: ${toEnvSetError(error, "sweep").message}`);
    }
  }
  return result;
}

function sweepAgent(context: EnvFilesContext, directory: PinnedDirectory): string[] {
  const current = directory.readLink(DATA_LINK);
  const inForce = current === undefined ? undefined : generationOf(current);
  const leftovers = directory.list().filter((name) => {
    if (isTemporaryName(name)) return true;
    const generation = generationOf(name);
    if (generation === undefined || name === current) return false;
    if (inForce === undefined || generation >= inForce) return true;
    return directory.useChild(name, (child) => readManifest(child, context.uid) === undefined);
  });
  for (const name of leftovers) directory.removeTree(name);
  const page = readPage(directory);
  if (page !== undefined && inForce !== undefined && page < inForce) writePage(directory, inForce);
  return leftovers;
}

function atAgent<T>(
  context: EnvFilesContext,
  agentId: string,
  use: (directory: PinnedDirectory) => T,
): T | undefined {
  try {
    return useAgent(context, agentId, use);
  } catch (error) {
    throw toEnvSetError(error, `agent ${agentId}`);
  }
}

function compare(a = 0n, b = 0n): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
