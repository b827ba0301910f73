import {
  SecretScope,
  type AgentGeneration,
  type FindPinsResponse,
  type Pin,
} from "../../../../gen/murmur/catalog/v1/environments";
import type { AgentEvidence } from "../store/agent-store";
import type { Agent } from "./agent";
import type { AgentProcess } from "./agent-process";

/** One version of a secret in one generation. */
export interface HeldVersion {
  /** 0: it cannot be told. */
  generation: bigint;
  /** 0: it cannot be told. */
  version: bigint;
  scope: SecretScope;
}

/** An agent that has a secret, or has processes that have it. */
export interface Holder {
  agent: Agent;
  /** What its VM has acked. */
  files: HeldVersion | undefined;
  /** What may be on its way, or there without an ack. */
  coming: HeldVersion[];
  processes: { process: AgentProcess; held: HeldVersion }[];
}

/** Whose holders are looked for. */
export interface HolderWish {
  /** 0: any. */
  version: bigint;
  /** Whether the caller may know of secrets that are this agent's own. */
  seesOwn: (agent: Agent) => boolean;
}

/** Every generation that the evidence of these agents names. */
export function generationsOf(evidence: readonly AgentEvidence[]): AgentGeneration[] {
  return evidence.flatMap(({ agent, processes, coming }) => {
    const named = processes.map((process) => generationOf(process));
    const all = new Set([agent.applied, ...coming, ...named]);
    return [...all]
      .filter((generation) => generation > 0n)
      .map((generation) => ({ agentId: agent.id, generation }));
  });
}

/**
 * Who has the secret, by what the catalog says of the generations. What a VM or a process has and
 * nobody can tell any more counts, of an agent that ever had the secret.
 */
export function holdersOf(
  evidence: readonly AgentEvidence[],
  found: FindPinsResponse,
  wish: HolderWish,
): Holder[] {
  const pins = new Map(found.pins.map((pin) => [keyOf(pin), pin]));
  const unknown = new Set(found.unknown.map(keyOf));
  const had = new Set(found.hadAgentIds);
  return evidence.flatMap(({ agent, processes, coming }) => {
    const own = wish.seesOwn(agent);
    const look = (generation: bigint): HeldVersion | undefined => {
      const key = keyOf({ agentId: agent.id, generation });
      const pin = pins.get(key);
      if (pin) return isWished(pin, wish.version, own) ? toHeld(pin) : undefined;
      const isTold = generation > 0n && !unknown.has(key);
      if (isTold || !own || !had.has(agent.id)) return undefined;
      return { generation, version: 0n, scope: SecretScope.SECRET_SCOPE_UNSPECIFIED };
    };
    const holder: Holder = {
      agent,
      files: agent.applied > 0n ? look(agent.applied) : undefined,
      coming: coming.flatMap((generation) => look(generation) ?? []),
      processes: processes.flatMap((process) => {
        const held = look(generationOf(process));
        return held ? [{ process, held }] : [];
      }),
    };
    const isNone = !holder.files && holder.coming.length + holder.processes.length === 0;
    return isNone ? [] : [holder];
  });
}

function isWished({ version, scope }: Pin, wished: bigint, own: boolean): boolean {
  if (!own && scope !== SecretScope.SECRET_SCOPE_TENANT) return false;
  return wished === 0n || version === wished;
}

function toHeld({ generation, version, scope }: Pin): HeldVersion {
  return { generation, version, scope };
}

/** 0: it cannot be told. */
function generationOf({ receipt }: AgentProcess): bigint {
  return BigInt(receipt?.generation ?? 0);
}

function keyOf({ agentId, generation }: AgentGeneration): string {
  return `${agentId}/${generation}`;
}
