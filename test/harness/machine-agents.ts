import { randomUUID } from "node:crypto";
import type { Agent } from "../../gen/murmur/rotation/v1/agents";
import type { RolloutTarget } from "../../gen/murmur/rotation/v1/rollouts";
import type { FakeVm } from "../fakes/fake-catalog";
import type { Fleet } from "./fleet";

/** Agents of the workspace `backend`, each alone on a machine of its own: tests do not meet. */
export interface MachineAgents {
  machineWithAgent: () => Promise<{ machine: FakeVm; agentId: string; path: string }>;
  get: (path: string) => Promise<Agent | undefined>;
  /** Returns the rollout's id. */
  rekey: (path: string) => Promise<string>;
  /** The rollout's first target. */
  target: (rolloutId: string) => Promise<RolloutTarget | undefined>;
}

/** In the fleet that `fleet` returns when one of these is called. */
export function createMachineAgents(fleet: () => Fleet): MachineAgents {
  return {
    machineWithAgent: async () => {
      const name = `vm-${randomUUID().slice(0, 8)}`;
      const machine = fleet().machine(name);
      const path = `agent-${name}`;
      const { agentId } = await fleet().spawn(path, { vm: name });
      return { machine, agentId, path };
    },
    get: async (path) =>
      (await fleet().owner.agents.getAgent({ workspace: "backend", path })).agent,
    rekey: async (path) => (await fleet().rekey(path)).rollout?.rolloutId ?? "",
    target: async (rolloutId) =>
      (await fleet().owner.rollouts.getRollout({ rolloutId })).targets[0],
  };
}
