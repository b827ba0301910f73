import { type ProcessIdentity } from "../linux/proc";
import { type AgentState, type ExitStatus } from "./agent";
import { type AgentRecord } from "./agent-record";
import { type ShimMarks } from "./state-directory";

/** What is looked at to tell an agent's state, beside its record and marks. */
export interface Present {
  bootId: string;
  isAlive: (identity: ProcessIdentity) => boolean;
  /** The daemon's word that there is no shim any more, or never was, whatever the marks say. */
  isShimGone: boolean;
}

/**
 * The state of an agent from what it left on disk and what is alive now; the same answer before and
 * after a restart of the daemon. States and their evidence:
 *
 * - an exit status was written: over, whatever else is seen;
 * - a start on another boot: over, nothing of it can be alive;
 * - first process alive: running. Its shim may have been killed; then no status will come;
 * - shim alive: starting, or between the agent's end and its status;
 * - neither alive, no status: over, and nobody saw how.
 */
export function judgeAgent(record: AgentRecord, marks: ShimMarks, present: Present): AgentState {
  const { agentId, envDir, user, createdAt } = record;
  const facts = { agentId, envDir, user, createdAt, ...(marks.main && { main: marks.main }) };
  if (marks.exit) return { ...facts, phase: endPhase(marks, marks.exit), exit: marks.exit };
  if (record.bootId !== present.bootId) return lost(facts, marks, "rebooted");
  if (marks.main && present.isAlive(marks.main)) return { ...facts, phase: "running" };
  // A shim that has not said who it is yet is still to be heard of.
  const isShimAlive = marks.shim ? present.isAlive(marks.shim) : true;
  if (isShimAlive && !present.isShimGone)
    return { ...facts, phase: marks.main ? "running" : "starting" };
  return lost(facts, marks, marks.main ? "vanished" : "not-started");
}

type LostReason = Extract<ExitStatus, { kind: "lost" }>["why"];

function lost(
  facts: Omit<AgentState, "phase" | "exit">,
  marks: ShimMarks,
  why: LostReason,
): AgentState {
  const exit: ExitStatus = { kind: "lost", why };
  return { ...facts, phase: endPhase(marks, exit), exit };
}

function endPhase(marks: ShimMarks, exit: ExitStatus): "completed" | "failed" | "cancelled" {
  if (marks.isCancelled || (exit.kind === "lost" && exit.why === "rebooted")) return "cancelled";
  return exit.kind === "code" && exit.code === 0 ? "completed" : "failed";
}
