import { basename } from "node:path";
import {
  type Adoption,
  AgentPhase,
  type AgentProcess,
  type ExitStatus,
} from "../../../gen/murmur/rotation/v1/agents";
import type { AgentReport } from "../../../gen/murmur/rotation/v1/vm_sync";
import type { ProcessInfo } from "../linux/proc";
import type { Receipt } from "../live-env/receipts";
import type { AdoptedFacts } from "../processes/adoption";
import type { AgentState } from "../processes/agent";

const PHASES: Record<AgentState["phase"], AgentPhase> = {
  starting: AgentPhase.AGENT_PHASE_STARTING,
  running: AgentPhase.AGENT_PHASE_RUNNING,
  completed: AgentPhase.AGENT_PHASE_COMPLETED,
  failed: AgentPhase.AGENT_PHASE_FAILED,
  cancelled: AgentPhase.AGENT_PHASE_CANCELLED,
};

/** How the end of an agent that nobody saw is told. */
const LOST = {
  rebooted: "the machine was restarted",
  vanished: "its process and its shim were both ended from outside",
  "not-started": "it could not be started",
  adopted: "it was adopted, so its status is not known",
} as const;

const MAX_PROCESSES = 500;

/** What the supervisor knows of an agent, in the words of the wire. */
export function toReport(state: AgentState, processes: readonly AgentProcess[]): AgentReport {
  return {
    agentId: state.agentId,
    phase: PHASES[state.phase],
    exitStatus: state.exit && toExitStatus(state.exit),
    processes: processes.slice(0, MAX_PROCESSES),
    ...(state.adopted && { adoption: toAdoption(state, state.adopted) }),
  };
}

function toAdoption({ envDir, main }: AgentState, facts: AdoptedFacts): Adoption {
  const { name, startedAt, canUse, cannotUse } = facts;
  return {
    ...{ pid: main?.pid ?? 0, startTicks: BigInt(main?.startTime ?? 0) },
    ...{ name, startedAt, directory: envDir, canUse: [...canUse], cannotUse: [...cannotUse] },
  };
}

/** A report of an agent that this machine never ran, or that it no longer knows. */
export function reportEnd(agentId: string, phase: AgentPhase, why: string): AgentReport {
  return { agentId, phase, exitStatus: { how: { $case: "unknown", value: why } }, processes: [] };
}

/** One process as the wire tells it, by its own word: its name, and what it has taken over. */
export function toProcess(info: ProcessInfo, receipt: Receipt | undefined): AgentProcess {
  return {
    generation: receipt?.generation ?? 0n,
    layer: receipt?.layer ?? "",
    readsThrough: receipt?.readsThrough ?? false,
    notAppliedNatively: receipt?.notAppliedNatively ?? false,
    firstUsedAt: receipt?.firstUsedAt,
    lastUsedBeforeAt: receipt?.lastUsedBeforeAt,
    pid: info.pid,
    parentPid: info.parentPid,
    name: basename(info.name),
    startTicks: BigInt(info.startTime),
  };
}

function toExitStatus(exit: NonNullable<AgentState["exit"]>): ExitStatus {
  switch (exit.kind) {
    case "code":
      return { how: { $case: "code", value: exit.code } };
    case "signal":
      return { how: { $case: "signal", value: exit.signal } };
    case "lost":
      return { how: { $case: "unknown", value: LOST[exit.why] } };
  }
}
