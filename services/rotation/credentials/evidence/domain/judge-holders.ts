import {
  SecretScope,
  type AgentGeneration,
  type FindPinsResponse,
} from "../../../../../gen/murmur/catalog/v1/environments";
import type { Agent } from "../../../agents/domain/agent";
import type { AgentProcess } from "../../../agents/domain/agent-process";
import { generationsOf } from "../../../agents/domain/holder";
import type { AgentEvidence } from "../../../agents/store/agent-store";
import type { Laggard, LaggardReason } from "./evidence-case";

/** What is known of who has the old value. */
export interface HolderFacts {
  /** Living agents that had the secret at any time, and those without a generation. */
  agents: readonly AgentEvidence[];
  /** By agent: kept generations with the old value, whether they were recorded here or not. */
  carrying: ReadonlyMap<string, readonly bigint[]>;
  /** Generations that the catalog was asked about, and what it said. */
  asked: readonly AgentGeneration[];
  pins: Pick<FindPinsResponse, "pins" | "unknown">;
  /** Versions with the old value: from this one and below that. */
  versions: { from: bigint; below: bigint };
  /** Agents that lived when the secret had the new value; what came later never had the old one. */
  before: ReadonlySet<string>;
}

/** What one generation of an agent has: the old value, not the old value, or nobody can tell. */
type Content = "old" | "clean" | "unknown";
type ContentOf = (agentId: string, generation: bigint) => Content;

/**
 * Who holds the old value back. Nothing is guessed in favour of ending it:
 *
 * - an agent of before that has no generation yet may get one that was made before;
 * - a VM may be on any generation from the one that it acked to the desired one, and come to one that
 *   the catalog made and nobody has recorded yet;
 * - a process has what it says that it took over last; one that says nothing, or names a generation of
 *   which nobody can tell, may have the old value, unless a hook or signal of its agent succeeded on
 *   a generation without it;
 * - what a VM says of processes counts when it said so after it acked.
 */
export function judgeHolders(facts: HolderFacts): Laggard[] {
  const contentOf = contents(facts);
  return facts.agents.flatMap((evidence) => {
    const { agent } = evidence;
    const isNew = neverHadIt(agent, facts);
    if (agent.desired === 0n)
      return isNew ? [] : [laggard(agent, "starting", "its first environment is being made")];
    const generations = judgeGenerations(evidence, { facts, contentOf, isNew });
    return isNew ? generations : [...generations, ...judgeProcesses(evidence, contentOf)];
  });
}

/** Agents that would stay on the old value, or get it back, without another generation. */
export function needRekey({ agents, carrying }: HolderFacts): string[] {
  return agents.flatMap(({ agent: { id, desired } }) =>
    desired > 0n && carrying.get(id)?.some((it) => it >= desired) ? [id] : [],
  );
}

/** Every generation that a judgement needs to know of. */
export function generationsToAsk(agents: readonly AgentEvidence[]): AgentGeneration[] {
  const reloaded = agents.flatMap(({ agent: { id: agentId, reload } }) =>
    reload ? [{ agentId, generation: BigInt(reload.generation) }] : [],
  );
  return [...generationsOf(agents), ...reloaded.filter(({ generation }) => generation > 0n)];
}

function contents({ carrying, asked, pins, versions }: HolderFacts): ContentOf {
  const keyOf = (agentId: string, generation: bigint) => `${agentId}/${generation}`;
  const isOld = (version: bigint) => version >= versions.from && version < versions.below;
  const old = new Set(
    pins.pins
      .filter((it) => it.scope === SecretScope.SECRET_SCOPE_TENANT && isOld(it.version))
      .map((it) => keyOf(it.agentId, it.generation)),
  );
  for (const [agentId, generations] of carrying)
    for (const generation of generations) old.add(keyOf(agentId, generation));
  const unknown = new Set(pins.unknown.map((it) => keyOf(it.agentId, it.generation)));
  const known = new Set(asked.map((it) => keyOf(it.agentId, it.generation)));
  return (agentId, generation) => {
    const key = keyOf(agentId, generation);
    if (old.has(key)) return "old";
    return known.has(key) && !unknown.has(key) ? "clean" : "unknown";
  };
}

/** Spawned since, and not adopted with what its processes had before. */
function neverHadIt({ id, adoption }: Agent, { before }: HolderFacts): boolean {
  return !before.has(id) && !adoption;
}

function judgeGenerations(
  { agent, coming }: AgentEvidence,
  { facts, contentOf, isNew }: { facts: HolderFacts; contentOf: ContentOf; isNew: boolean },
): Laggard[] {
  const { id, applied, desired, vmName } = agent;
  const possible = [...new Set([...(applied > 0n ? [applied] : []), ...coming])];
  const late = (facts.carrying.get(id) ?? []).filter((it) => it > desired);
  return [
    ...possible.flatMap((generation) => {
      const content = contentOf(id, generation);
      if (content === "clean" || (content === "unknown" && isNew)) return [];
      const has = content === "old" ? "with the old value" : "of which nobody can tell any more";
      const what = `generation ${generation} ${has}`;
      return generation === desired && generation !== applied
        ? [laggard(agent, "coming", `it is to get ${what}`, { generation })]
        : [laggard(agent, "files", `VM "${vmName}" may have ${what}`, { generation })];
    }),
    ...late.map((generation) =>
      laggard(agent, "coming", `generation ${generation} was made with the old value`, {
        generation,
      }),
    ),
  ];
}

function judgeProcesses({ agent, processes }: AgentEvidence, contentOf: ContentOf): Laggard[] {
  const { id, applied, appliedAt, reportedAt, reload, vmName } = agent;
  const isReported = reportedAt !== undefined && appliedAt !== undefined && reportedAt > appliedAt;
  if (applied > 0n && !isReported)
    return [laggard(agent, "not-reported", `VM "${vmName}" has not said since what runs there`)];
  const isReloaded =
    reload?.outcome === "done" && contentOf(id, BigInt(reload.generation)) === "clean";
  if (isReloaded) return [];
  return processes.flatMap((process) => judgeProcess(agent, process, contentOf));
}

function judgeProcess(agent: Agent, process: AgentProcess, contentOf: ContentOf): Laggard[] {
  const { pid, name, receipt } = process;
  const generation = BigInt(receipt?.generation ?? 0);
  const who = { pid, name };
  if (!receipt || generation === 0n)
    return [laggard(agent, "cannot-be-told", "what it has cannot be told", { process: who })];
  if (contentOf(agent.id, generation) === "clean") return [];
  const reads = receipt.readsThrough ? ", and will read the newest at its next look" : "";
  const detail = `it has last read generation ${generation}${reads}`;
  return [laggard(agent, "process", detail, { process: who, generation })];
}

function laggard(
  { id, workspace, path, vmName }: Agent,
  reason: LaggardReason,
  detail: string,
  more: { process?: Laggard["process"]; generation?: bigint } = {},
): Laggard {
  return {
    ...{ reason, detail, agent: { id, workspace, path, vm: vmName } },
    ...(more.process && { process: more.process }),
    ...(more.generation !== undefined && { generation: String(more.generation) }),
  };
}
