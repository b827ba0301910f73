import type { AgentProcess } from "../../agents/domain/agent-process";

/** What receipts say of a generation for the first, or for the last time. */
export interface Use {
  which: "first-use" | "last-use";
  generation: bigint;
  /** ISO 8601, by the VM's clock; absent: no process said when. */
  at?: string;
}

/**
 * What is new in an agent's receipts: a generation that its programs use and never used before, and
 * one that none of them is on any more while others are on a newer one. `used` is the newest that was
 * known to be in use.
 */
export function findUses(
  before: { used: bigint; processes: readonly AgentProcess[] },
  now: readonly AgentProcess[],
): Use[] {
  const firsts = new Map<bigint, string>();
  for (const { receipt } of now) {
    const at = receipt?.firstUsedAt;
    const generation = generationOf(receipt);
    if (at === undefined || generation <= before.used) continue;
    const known = firsts.get(generation);
    if (known === undefined || at < known) firsts.set(generation, at);
  }
  const present = new Set(now.map(({ receipt }) => generationOf(receipt)));
  const newest = [...present, before.used].reduce((a, b) => (a > b ? a : b));
  const earlier = new Set(before.processes.map(({ receipt }) => generationOf(receipt)));
  const gone = [...earlier].filter((it) => it > 0n && it < newest && !present.has(it));
  const ends = now.flatMap(({ receipt }) => receipt?.lastUsedBeforeAt ?? []).sort();
  const end = ends.at(-1);
  return [
    ...[...firsts].sort(byGeneration).map(([generation, at]): Use => {
      return { which: "first-use", generation, at };
    }),
    ...gone.map((generation): Use => {
      return { which: "last-use", generation, ...(end !== undefined && { at: end }) };
    }),
  ];
}

function generationOf(receipt: AgentProcess["receipt"]): bigint {
  return BigInt(receipt?.generation ?? 0);
}

function byGeneration([a]: [bigint, string], [b]: [bigint, string]): number {
  return a < b ? -1 : 1;
}
