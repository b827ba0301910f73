import type { AgentProcess } from "../../gen/murmur/rotation/v1/agents";

/** A process as a VM reports it; one of which nothing can be told, unless more is said. */
export function processMessage(
  process: Pick<AgentProcess, "pid"> & Partial<AgentProcess>,
): AgentProcess {
  return {
    ...{ parentPid: 1, name: "sh", startTicks: 1n },
    ...{ generation: 0n, layer: "", readsThrough: false, notAppliedNatively: false },
    ...{ firstUsedAt: undefined, lastUsedBeforeAt: undefined },
    ...process,
  };
}
