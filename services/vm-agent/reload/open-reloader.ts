import { join } from "node:path";
import type { Clock } from "../../../lib/clock";
import type { Log } from "../../../lib/log";
import type { Sensitive } from "../../../lib/sensitive";
import type { EnvFiles } from "../env-set/env-files";
import type { InstalledLayers } from "../live-env/launch";
import type { AgentProcesses } from "../processes/agent-processes";
import { agentEnvironment } from "../processes/agent-environment";
import { HealthChecks, type HealthChecksDeps } from "./health-checks";
import { ReloadLedger } from "./reload-ledger";
import { Reloader, type ReloaderDeps } from "./reloader";
import type { RunForAgentDeps } from "./run-for-agent";

export interface OpenReloaderDeps {
  stateDir: string;
  socketPath: string;
  /** The daemon's own environment. */
  inheritedEnv: Readonly<Record<string, string | undefined>>;
  layers?: Promise<InstalledLayers>;
  supervisor: Pick<AgentProcesses, "get" | "processes">;
  envFiles: Pick<EnvFiles, "readCurrent" | "readValues" | "onSwap">;
  clock: Clock;
  log: Log;
}

/** A reloader over what this machine keeps; `facts` are what the rotation service has told. */
export function openReloader(
  deps: OpenReloaderDeps,
  facts: Pick<ReloaderDeps, "launchOf" | "generationOf">,
): Reloader {
  const ledger = new ReloadLedger(join(deps.stateDir, "reloads"));
  return new Reloader({ ...facts, ...known(deps), ledger });
}

/** The same for health checks. */
export function openHealthChecks(
  deps: OpenReloaderDeps,
  facts: Pick<HealthChecksDeps, "launchOf" | "generationOf" | "checkOf">,
): HealthChecks {
  return new HealthChecks({ ...facts, ...known(deps) });
}

function known(
  deps: OpenReloaderDeps,
): Pick<ReloaderDeps, "stateOf" | "processesOf" | "log"> & Omit<RunForAgentDeps, "launchOf"> {
  const { supervisor, envFiles, clock, log } = deps;
  return {
    stateOf: (agentId) => supervisor.get(agentId),
    processesOf: (agentId) => supervisor.processes(agentId),
    valuesOf: (agentId) => valuesOf(envFiles, agentId),
    onSwap: (agentId, listener) => envFiles.onSwap(agentId, listener),
    async environmentOf({ envDir, user }, layersOff) {
      const { inheritedEnv: inherited, socketPath } = deps;
      const layers = await deps.layers;
      return agentEnvironment({ inherited, socketPath, envDir, user, layers, layersOff });
    },
    ...{ clock, log },
  };
}

/** Of variables and of files; those that the daemon adds itself are no secrets. */
function valuesOf(
  envFiles: OpenReloaderDeps["envFiles"],
  agentId: string,
): readonly Sensitive<Buffer>[] {
  const variables = [...(envFiles.readCurrent(agentId)?.variables ?? [])].filter(
    ([name]) => !name.startsWith("MURMUR_"),
  );
  const inFiles = variables.flatMap(([name]) => name.match(/^(.+)_FILE$/)?.[1] ?? []);
  const files = envFiles.readValues(agentId, inFiles)?.values.values() ?? [];
  return [...variables.map(([, value]) => value), ...files];
}
