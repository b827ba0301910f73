import type { AgentReport } from "../../../gen/murmur/rotation/v1/vm_sync";
import type { Clock } from "../../../lib/clock";

export interface ProcessReportsDeps {
  reports(): AgentReport[];
  send(reports: AgentReport[]): void;
  clock: Clock;
  /** How often the process table is looked at. */
  everyMs: number;
}

/** Tells which processes agents have and what those have taken over; no event tells of it. */
export interface ProcessReports {
  /** Looks soon and a few times: an agent has a new set, and its processes will take it over. */
  swapped(agentId: string): void;
  run(signal: AbortSignal): Promise<void>;
}

/** A busy program follows within a millisecond, one that sleeps for a moment within the last. */
const LOOKS_AFTER_SWAP_MS = [50, 250, 1_000] as const;

/** Sends what has changed, and after a swap what has not, too: it is news then that nothing has. */
export function createProcessReports(deps: ProcessReportsDeps): ProcessReports {
  const { clock } = deps;
  const told = new Map<string, string>();
  const swapped = new Set<string>();
  let looks: number[] = [];
  let waiting = new AbortController();

  const look = () => {
    const reports = deps.reports();
    const news = reports.filter(
      (report) => swapped.has(report.agentId) || told.get(report.agentId) !== signature(report),
    );
    told.clear();
    for (const report of reports) told.set(report.agentId, signature(report));
    if (looks.length === 0) swapped.clear();
    if (news.length > 0) deps.send(news);
  };

  return {
    swapped(agentId) {
      swapped.add(agentId);
      const nowMs = clock.monotonicMs();
      // Swaps that follow each other closely put no look off.
      const [next] = looks;
      looks = LOOKS_AFTER_SWAP_MS.map((ms) => nowMs + ms);
      if (next !== undefined) looks[0] = next;
      waiting.abort();
    },
    async run(signal) {
      let regularMs = clock.monotonicMs() + deps.everyMs;
      while (!signal.aborted) {
        const nowMs = clock.monotonicMs();
        const dueMs = Math.min(regularMs, looks[0] ?? Infinity);
        if (dueMs <= nowMs) {
          looks = looks.filter((atMs) => atMs > nowMs);
          if (regularMs <= nowMs) regularMs = nowMs + deps.everyMs;
          look();
          continue;
        }
        waiting = new AbortController();
        await clock.sleep(dueMs - nowMs, AbortSignal.any([signal, waiting.signal]));
      }
    },
  };
}

function signature({ phase, processes, reload }: AgentReport): string {
  const identities = processes
    .map((it) => `${it.pid}@${it.startTicks}:${it.generation}:${it.layer}:${it.readsThrough}`)
    .sort();
  const told = reload && `${reload.generation}:${reload.outcome}`;
  return [phase, told, ...identities].join(" ");
}
