import type { VmHello, VmUpdate } from "../../../gen/murmur/rotation/v1/vm_sync";
import type { Incarnation } from "../incarnation";
import type { HealthChecks } from "../reload/health-checks";
import type { Reloader } from "../reload/reloader";
import type { HelloParts, Listener } from "../wake-ups/wake-ups";
import type { AgentLives } from "./agent-lives";
import type { EnvWriter } from "./env-writer";
import type { Reconciler } from "./reconciler";

export interface MachineStateDeps {
  bootId: string;
  incarnation: Incarnation;
  reconciler: Reconciler;
  writer: EnvWriter;
  lives: AgentLives;
  reloader: Pick<Reloader, "look">;
  health: Pick<HealthChecks, "look">;
}

/** What this machine says of itself at each hello, made anew from what stands and what lives. */
export function createMachineState(deps: MachineStateDeps): Listener {
  const { reconciler, writer, lives, reloader, health, incarnation } = deps;
  return {
    hello(parts: HelloParts = "whole"): VmHello {
      return {
        bootId: deps.bootId,
        incarnation: incarnation.id.toString("hex"),
        incarnationNumber: incarnation.number,
        applied: lives.ids().flatMap((agentId) => {
          const applied = writer.appliedOf(agentId);
          return applied ? [{ agentId, ...applied }] : [];
        }),
        agents: parts === "whole" ? [...lives.reports(), ...reconciler.endReports()] : [],
      };
    },
    failures: (): VmUpdate => ({ acks: reconciler.failures(), agents: [] }),
    onComing: (coming) => {
      reconciler.foresee(coming);
    },
    onFailure: (error) => incarnation.failed(error),
    onDesired(state) {
      incarnation.accepted();
      lives.learn(state.agents);
      reconciler.take(state);
      // What an earlier daemon left undone: only now its settings are known again.
      for (const { agentId } of state.agents) {
        reloader.look(agentId);
        health.look(agentId);
      }
    },
  };
}
