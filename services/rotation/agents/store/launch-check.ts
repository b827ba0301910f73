import type { Log } from "../../../../lib/log";
import type { AgentBindings } from "../agent-bindings";
import { alarmOfChangedRecord } from "../changed-records";
import type { LaunchableAgent } from "../domain/agent";
import type { AgentStore, AgentWriter } from "./agent-store";

export interface LaunchCheckDeps {
  agents: AgentStore;
  writer: AgentWriter;
  bindings: Pick<AgentBindings, "mayLaunch" | "mayCheck">;
  log: Log;
}

/**
 * The same stores, with no command in an agent that is still to be started when others changed what
 * it runs or whose it is: its VM refuses to start it, and reports so. A VM starts nothing that is in
 * another phase, and the commands of those are not looked at; but settings, which name what is run
 * later, go to no VM from a changed record, and no health check that this service did not write.
 */
export function withLaunchCheck({ agents, writer, bindings, log }: LaunchCheckDeps): {
  agents: AgentStore;
  writer: AgentWriter;
} {
  const checkHealth = (agent: LaunchableAgent): LaunchableAgent => {
    if (agent.healthCheck === undefined || bindings.mayCheck(agent)) return agent;
    alarmOfChangedRecord(log, agent);
    return { ...agent, healthCheck: undefined };
  };
  const check = (row: LaunchableAgent): LaunchableAgent => {
    const agent = checkHealth(row);
    const isStarting = agent.phase === "starting";
    if (!isStarting && agent.settings === undefined) return agent;
    if (bindings.mayLaunch(agent)) return agent;
    alarmOfChangedRecord(log, agent);
    const nothing = isStarting ? { command: [], workingDirectory: "" } : {};
    return { ...agent, ...nothing, settings: undefined };
  };
  return {
    agents: {
      ...agents,
      desiredOfVm: async (...args) => (await agents.desiredOfVm(...args)).map(check),
      desiredOf: async (...args) => (await agents.desiredOf(...args)).map(check),
    },
    writer: {
      ...writer,
      async lockAgent(...args) {
        const agent = await writer.lockAgent(...args);
        return agent && check(agent);
      },
      lockSubtree: async (...args) => (await writer.lockSubtree(...args)).map(check),
      lockAgents: async (...args) => (await writer.lockAgents(...args)).map(check),
      lockSubtrees: async (...args) => (await writer.lockSubtrees(...args)).map(check),
      requestKill: async (...args) => (await writer.requestKill(...args)).map(check),
    },
  };
}
