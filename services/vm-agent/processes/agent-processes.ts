import { type ProcessIdentity, type ProcessInfo } from "../linux/proc";
import { type AdoptedAgents } from "./adopted-agents";
import { type AdoptRequest, type TakenProcess } from "./adoption";
import { type AgentState, hasEnded, type SpawnRequest } from "./agent";
import { type AgentListener, type KillResult, type Supervisor } from "./supervisor";

/** Every agent of this machine, whether it was started or adopted; each call as of its part. */
export interface AgentProcesses {
  list(): AgentState[];
  get(agentId: string): AgentState | undefined;
  spawn(request: SpawnRequest): Promise<AgentState>;
  adopt(request: AdoptRequest): AgentState;
  kill(agentId: string): Promise<KillResult>;
  forget(agentId: string): boolean;
  processes(agentId: string): ProcessInfo[];
  agentOf(identity: ProcessIdentity): string | undefined;
  onChange(listener: AgentListener): () => void;
}

export function joinAgentProcesses(supervisor: Supervisor, adopted: AdoptedAgents): AgentProcesses {
  const partOf = (agentId: string) => (adopted.get(agentId) ? adopted : supervisor);
  return {
    list: () => [...supervisor.list(), ...adopted.list()],
    get: (agentId) => partOf(agentId).get(agentId),
    spawn: (request) => supervisor.spawn(request),
    adopt: (request) => adopted.adopt(request),
    kill: (agentId) => partOf(agentId).kill(agentId),
    forget: (agentId) => partOf(agentId).forget(agentId),
    processes: (agentId) => partOf(agentId).processes(agentId),
    agentOf: (identity) => supervisor.agentOf(identity) ?? adopted.agentOf(identity),
    onChange(listener) {
      const ends = [supervisor.onChange(listener), adopted.onChange(listener)];
      return () => {
        for (const end of ends) end();
      };
    },
  };
}

/** What is not to be adopted since the supervisor has started it: agents' processes, and shims. */
export function takenBy(supervisor: Supervisor): TakenProcess[] {
  const living = supervisor.list().filter((state) => !hasEnded(state));
  const members = living.flatMap(({ agentId }) => supervisor.processes(agentId));
  return [
    ...supervisor.shims().map((shim): TakenProcess => ({ ...toIdentity(shim), by: "daemon" })),
    ...members.map((member): TakenProcess => ({ ...toIdentity(member), by: "agent" })),
  ];
}

function toIdentity({ pid, startTime }: ProcessIdentity): ProcessIdentity {
  return { pid, startTime };
}
