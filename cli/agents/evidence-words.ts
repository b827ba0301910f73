import { type ProcessView } from "./agent-view";

/** Whether a process has the generation, or will with its next look at its environment. */
export function isOn({ generation, readsThrough }: ProcessView, wanted: number): boolean {
  return generation >= wanted || (generation > 0 && readsThrough);
}

/** `17`, `16, reads through`, `cannot be told`. */
export function consumedWords({ generation, readsThrough }: ProcessView, wanted: number): string {
  if (generation === 0) return "cannot be told";
  return generation < wanted && readsThrough ? `${generation}, reads through` : String(generation);
}

/**
 * What an agent and its processes are on:
 * `agent and 3 of 4 processes on generation 17; pid 4711 (java) cannot be told`.
 */
export function evidenceWords(processes: readonly ProcessView[], wanted: number): string {
  const there = processes.filter(({ generation }) => generation >= wanted).length;
  const count = `${there} of ${processes.length} ${processes.length === 1 ? "process" : "processes"}`;
  const others = processes
    .filter(({ generation }) => generation < wanted)
    .sort((a, b) => a.pid - b.pid)
    .map(toWords);
  return [`agent and ${count} on generation ${wanted}`, ...others].join("; ");
}

function toWords({ pid, name, generation, readsThrough }: ProcessView): string {
  const who = `pid ${pid} (${name})`;
  if (generation === 0) return `${who} cannot be told`;
  return readsThrough ? `${who} reads through` : `${who} is on generation ${generation}`;
}
