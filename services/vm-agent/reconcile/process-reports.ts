import type { AgentReport } from "../../../gen/murmur/rotation/v1/vm_sync";
import type { Clock } from "../../../lib/clock";

export interface ProcessReportsDeps {
  reports(): AgentReport[];
  send(reports: AgentReport[]): void;
  clock: Clock;
  /** How often the process table is looked at. */
  everyMs: number;
}

/** Tells which processes agents have, when that has changed; no event tells of it. */
export async function reportProcesses(
  deps: ProcessReportsDeps,
  signal: AbortSignal,
): Promise<void> {
  const told = new Map<string, string>();
  while (!signal.aborted) {
    await deps.clock.sleep(deps.everyMs, signal);
    const reports = deps.reports();
    const changed = reports.filter((report) => told.get(report.agentId) !== signature(report));
    told.clear();
    for (const report of reports) told.set(report.agentId, signature(report));
    if (changed.length > 0) deps.send(changed);
  }
}

function signature({ phase, processes }: AgentReport): string {
  const identities = processes.map(({ pid, startTicks }) => `${pid}@${startTicks}`).sort();
  return [phase, ...identities].join(" ");
}
