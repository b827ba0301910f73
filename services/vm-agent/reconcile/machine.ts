import { AckOutcome, type DesiredAgent } from "../../../gen/murmur/rotation/v1/vm_sync";
import type { Clock } from "../../../lib/clock";
import type { Log } from "../../../lib/log";
import type { EnvFiles } from "../env-set/env-files";
import type { Incarnation } from "../incarnation";
import type { InstalledLayers } from "../live-env/launch";
import type { HealthChecks, HealthChecksDeps } from "../reload/health-checks";
import type { Reloader, ReloaderDeps } from "../reload/reloader";
import { type AgentUser, type AgentState, hasEnded } from "../processes/agent";
import type { AgentNames } from "../processes/agent-names";
import type { Listener, WakeUps } from "../wake-ups/wake-ups";
import { AgentLives, type AgentSupervisor } from "./agent-lives";
import type { EnvironmentSource } from "./environment-source";
import { EnvWriter } from "./env-writer";
import { createForesight } from "./foresight";
import { createMachineState } from "./machine-state";
import { createProcessReports } from "./process-reports";
import { Reconciler } from "./reconciler";
import { SwapPacer } from "./swap-pacer";

export interface MachineDeps {
  config: {
    agentUser: AgentUser | undefined;
    allowSharedUser: boolean;
    reconcileEveryMs: number;
  };
  source: EnvironmentSource;
  envFiles: EnvFiles;
  /** Tells agents' programs of changes; the machine says what is known of an agent. */
  openReloader: (facts: ReloadFacts) => Reloader;
  openHealthChecks: (facts: HealthFacts) => HealthChecks;
  supervisor: AgentSupervisor & { onChange(listener: (state: AgentState) => void): () => void };
  names: AgentNames;
  layers: Promise<InstalledLayers>;
  incarnation: Incarnation;
  bootId: string;
  clock: Clock;
  /** The services' time. */
  serverClock: Pick<Clock, "now">;
  log: Log;
}

/** What a reloader has to know of an agent. */
export type ReloadFacts = Pick<ReloaderDeps, "launchOf" | "generationOf">;

/** And what health checks have to. */
export type HealthFacts = Pick<HealthChecksDeps, "launchOf" | "generationOf" | "checkOf">;

/** Desired state in, files and processes out. */
export interface Machine {
  listener: Listener;
  /** Where evidence goes; before it is called, evidence waits for the first hello. */
  connect(wakeUps: WakeUps): void;
  /** Stop it after `run` has ended. */
  reloader: Reloader;
  /** As well. */
  health: HealthChecks;
  /** What is desired of one agent. */
  find(agentId: string): DesiredAgent | undefined;
  /** Works until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

const MAX_SWAPS_PER_SECOND = 20;
const PROCESSES_EVERY_MS = 3_000;

/** Puts the parts of reconciliation together and reads back what an earlier daemon left. */
export function assembleMachine(deps: MachineDeps): Machine {
  const { config, envFiles, supervisor, clock, log } = deps;
  const user = config.agentUser ?? { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  const desired = (agentId: string) => reconciler.desired.get(agentId);
  const generationOf = (agentId: string) => writer.appliedOf(agentId)?.generation;
  const reloader = deps.openReloader({ launchOf: desired, generationOf });
  const health = deps.openHealthChecks({
    ...{ launchOf: desired, generationOf },
    checkOf: (agentId) => desired(agentId)?.healthCheck,
  });
  const writer: EnvWriter = new EnvWriter({
    ...{ envFiles, user, clock, log },
    beforeChange: (agentId, generation) => {
      reloader.expect(agentId, generation);
    },
  });
  const lives = new AgentLives({
    supervisor,
    user: config.agentUser,
    allowSharedUser: config.allowSharedUser,
    envDirOf: (agentId) => envFiles.directoryOf(agentId),
    receiptsOf: (agentId) => envFiles.readReceipts(agentId),
    reloads: reloader,
    health,
    names: deps.names,
    layers: deps.layers,
    serverClock: deps.serverClock,
    log,
  });
  let wakeUps: WakeUps | undefined;
  const processReports = createProcessReports({
    reports: () => lives.livingReports(),
    send: (agents) => wakeUps?.send({ acks: [], agents }),
    clock,
    everyMs: PROCESSES_EVERY_MS,
  });
  const reconciler: Reconciler = new Reconciler({
    source: createForesight({
      ...{ source: deps.source, clock },
      onDropped: ({ agentId, generation }) => {
        writer.unstage(agentId, generation);
      },
    }),
    pacer: new SwapPacer(clock, MAX_SWAPS_PER_SECOND),
    send(update) {
      wakeUps?.send(update);
      for (const { agentId, outcome } of update.acks)
        if (outcome === AckOutcome.ACK_OUTCOME_APPLIED) {
          processReports.swapped(agentId);
          reloader.look(agentId);
          health.look(agentId);
        }
    },
    ...{ writer, lives, clock, log },
  });
  readBack(deps, writer, lives);
  const report = (agentId: string) => {
    const now = lives.report(agentId);
    if (now) wakeUps?.send({ acks: [], agents: [now] });
  };
  reloader.onResult(report);
  health.onResult(report);
  supervisor.onChange((state) => {
    const { agentId } = state;
    const now = lives.report(agentId);
    if (hasEnded(state)) lives.ended(agentId);
    reconciler.agentChanged(agentId);
    reloader.look(agentId);
    health.look(agentId);
    if (now) wakeUps?.send({ acks: [], agents: [now] });
  });
  return {
    listener: createMachineState({ ...deps, reconciler, writer, lives, reloader, health }),
    reloader,
    health,
    connect: (opened) => {
      wakeUps = opened;
    },
    find: (agentId) => reconciler.desired.get(agentId),
    async run(signal) {
      await Promise.all([
        reconciler.run(signal),
        processReports.run(signal),
        lookFromTimeToTime(
          () => {
            reconciler.verifyFiles();
            wakeUps?.refresh();
          },
          deps,
          signal,
        ),
      ]);
    },
  };
}

/** Cleans up what a crash left half done, and reads which sets stand. */
function readBack({ envFiles, log }: MachineDeps, writer: EnvWriter, lives: AgentLives): void {
  const living = lives.ids().filter((agentId) => lives.lifeOf(agentId) === "living");
  const { removedAgents, removedLeftovers, failures } = envFiles.sweep(new Set(living));
  if (removedAgents.length + removedLeftovers.length + failures.length > 0) {
    log.info("cleaned up after an earlier daemon", { removedAgents, removedLeftovers, failures });
  }
  writer.inspect(living);
}

/** The timer that makes a lost wake-up cost time only; spread, as all VMs start together. */
async function lookFromTimeToTime(
  look: () => void,
  deps: MachineDeps,
  signal: AbortSignal,
): Promise<void> {
  const { clock, config } = deps;
  while (!signal.aborted) {
    await clock.sleep(config.reconcileEveryMs * (0.75 + Math.random() / 2), signal);
    look();
  }
}
