/** Where an agent is in its life. The last three are terminal: nothing leaves them. */
export type Phase = "starting" | "running" | "idle" | "completed" | "failed" | "cancelled";

/** Facts about an agent's main process, as its VM reports them, in any order and repeatedly. */
export type PhaseEvent = "started" | "waits" | "works" | "succeeded" | "failed" | "cancelled";

type Living = Exclude<Phase, "completed" | "failed" | "cancelled">;

const ENDS = { succeeded: "completed", failed: "failed", cancelled: "cancelled" } as const;

const NEXT: Record<Living, Record<PhaseEvent, Phase>> = {
  starting: { ...ENDS, started: "running", waits: "idle", works: "running" },
  running: { ...ENDS, started: "running", waits: "idle", works: "running" },
  // A late `started` does not wake an agent that has said since that it waits.
  idle: { ...ENDS, started: "idle", waits: "idle", works: "running" },
};

/** Whether an agent in this phase is over: it keeps no environment and takes part in no rekey. */
export function isTerminal(phase: Phase): phase is Exclude<Phase, Living> {
  return phase === "completed" || phase === "failed" || phase === "cancelled";
}

/** The phase after a fact. Facts repeat and come late, so one that changes nothing is no error. */
export function nextPhase(current: Phase, event: PhaseEvent): Phase {
  return isTerminal(current) ? current : NEXT[current][event];
}

const REPORTED: Record<Exclude<Phase, "starting">, PhaseEvent> = {
  running: "works",
  idle: "waits",
  completed: "succeeded",
  failed: "failed",
  cancelled: "cancelled",
};

/**
 * The phase after a VM's report of a whole phase. An end that somebody asked for is `cancelled`
 * whatever the status was. `starting` is never news.
 */
export function mergeReport(current: Phase, reported: Phase, killRequested: boolean): Phase {
  if (reported === "starting") return current;
  const asked = killRequested && isTerminal(reported);
  return nextPhase(current, asked ? "cancelled" : REPORTED[reported]);
}

/** Whether an agent is over or on its way out: it gets no new generation, target or child. */
export function isEnding(agent: { phase: Phase; killRequested: boolean }): boolean {
  return agent.killRequested || isTerminal(agent.phase);
}
