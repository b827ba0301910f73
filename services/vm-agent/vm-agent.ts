import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DeliveryServiceService } from "../../gen/murmur/catalog/v1/delivery";
import { EnvironmentServiceService } from "../../gen/murmur/catalog/v1/environments";
import { VmServiceService } from "../../gen/murmur/catalog/v1/vms";
import { AgentServiceService } from "../../gen/murmur/rotation/v1/agents";
import { SelfRotationServiceService } from "../../gen/murmur/rotation/v1/self_rotation";
import { VmSyncServiceService } from "../../gen/murmur/rotation/v1/vm_sync";
import { systemClock } from "../../lib/clock";
import type { Environment } from "../../lib/config";
import { type Channel, createClient, openChannel, withCredentials } from "../../lib/grpc/client";
import type { Scope } from "../../lib/lifecycle";
import type { Log } from "../../lib/log";
import { sensitive } from "../../lib/sensitive";
import { startTelemetry } from "../../lib/telemetry";
import type { VmAgentConfig } from "./config";
import { createDelivery } from "./delivery/delivery";
import { createEnvFiles } from "./env-set/env-files";
import { prepareRunDir } from "./env-set/run-dir";
import { openVmIdentity } from "./identity/open-vm-identity";
import type { VmIdentity } from "./identity/vm-identity";
import { beginIncarnation, type Incarnation } from "./incarnation";
import { readBootId } from "./linux/boot-id";
import { findCgroupParent } from "./linux/cgroup";
import { lockDirectory } from "./linux/directory-lock";
import { readProcess } from "./linux/proc";
import { loadSystemCalls, type SystemCalls } from "./linux/system-calls";
import { prepareLayers, quickenLayers } from "./live-env/layers";
import { LocalSocketServer } from "./local-socket/local-socket-server";
import { AdoptedAgents } from "./processes/adopted-agents";
import { hasEnded } from "./processes/agent";
import { type AgentNames, createAgentNames } from "./processes/agent-names";
import { type AgentProcesses, joinAgentProcesses, takenBy } from "./processes/agent-processes";
import { Supervisor, type SupervisorDeps } from "./processes/supervisor";
import { assembleMachine, type Machine } from "./reconcile/machine";
import { openHealthChecks, openReloader } from "./reload/open-reloader";
import { runAutoRotation } from "./self-rotation/auto-rotation";
import { createLocalAgents } from "./upstream/local-agents";
import { createLocalValues } from "./upstream/local-values";
import { openWakeUps } from "./wake-ups/open-wake-ups";

const clock = systemClock;

export interface VmAgentOptions {
  config: VmAgentConfig;
  /** The daemon's own environment: a few harmless names of it are passed on to agents. */
  environment: Environment;
  log: Log;
  /** Where what runs inside agents' programs was shipped. */
  layersFrom: string;
}

/**
 * Starts the daemon of one VM. What stands on the disk and what lives is known before anyone is
 * asked; agents keep the sets that they have for as long as the services are away.
 */
export async function startVmAgent(options: VmAgentOptions, scope: Scope): Promise<void> {
  const { config, log } = options;
  const systemCalls = await loadSystemCalls();
  systemCalls.seal();
  mkdirSync(config.stateDir, { recursive: true, mode: 0o700 });
  holdDirectory(systemCalls, config.stateDir, scope);
  const telemetry = await startTelemetry({
    service: "vm-agent",
    endpoint: config.otlpEndpoint,
    log,
  });
  scope.defer("telemetry", () => telemetry.stop());

  const uid = process.getuid?.() ?? 0;
  const { agentsDirectory, warnings } = prepareRunDir(config.runDir, uid);
  holdDirectory(systemCalls, config.runDir, scope);
  for (const { message } of warnings) log.warn(message, { runDir: config.runDir });
  if (uid === 0 && !config.agentUser) {
    log.warn("agents run as root: set MURMUR_AGENT_USER to give them a user of their own");
  }
  const socketPath = join(config.runDir, "agent.sock");
  const searchPath = options.environment["PATH"];
  const layers = prepareLayers({
    ...{ from: options.layersFrom, runDir: config.runDir, searchPath, log },
    user: config.agentUser ?? { uid, gid: process.getgid?.() ?? 0 },
  });
  const supervisor = openProcesses(options, { socketPath, layers }, scope);

  const names = openNames(config, supervisor);
  const channels = openChannels(config);
  scope.defer("channels", () => {
    channels.catalog.close();
    channels.rotation.close();
  });
  const identity = await openVmIdentity(
    {
      directory: config.stateDir,
      client: createClient(VmServiceService, channels.catalog),
      joinToken: readJoinToken(config.joinTokenFile),
      clock,
      log,
    },
    scope.signal,
  );
  const incarnation = beginIncarnation({ ...config, log });
  const catalog = withCredentials(channels.catalog, identity.credentials());
  const rotation = withCredentials(channels.rotation, identity.credentials());
  const envFiles = createEnvFiles({ agentsDirectory, uid });
  scope.defer("env files", () => {
    envFiles.close();
  });
  const commands = {
    ...{ stateDir: config.stateDir, socketPath, inheritedEnv: options.environment, layers },
    ...{ supervisor, envFiles, clock, log },
  };
  const machine = assembleMachine({
    config,
    source: createDelivery({
      client: createClient(DeliveryServiceService, catalog),
      identity,
      incarnation: incarnation.id,
      log,
    }),
    ...{ envFiles, supervisor, names, layers },
    openReloader: (facts) => openReloader(commands, facts),
    openHealthChecks: (facts) => openHealthChecks(commands, facts),
    ...{ incarnation, bootId: readBootId(), clock, serverClock: identity.clock, log },
  });
  scope.defer("reloads", () => machine.reloader.stop());
  scope.defer("health checks", () => machine.health.stop());
  const socket = new LocalSocketServer({
    path: socketPath,
    systemCalls,
    agentOf: (process) =>
      supervisor.agentOf(process) ??
      machine.reloader.agentOf(process) ??
      machine.health.agentOf(process),
    userOf: (agentId) => supervisor.get(agentId)?.user.uid,
    ownUid: uid,
    handlers: {
      ...createLocalAgents({
        agents: createClient(AgentServiceService, rotation),
        environments: createClient(EnvironmentServiceService, catalog),
        find: (agentId) => machine.find(agentId),
        startTimeOf: (pid) => readProcess(pid)?.startTime,
        daemonStatus: () => daemonStatus(identity, incarnation, supervisor),
      }),
      ...createLocalValues({ envFiles, find: (agentId) => machine.find(agentId) }),
    },
    clock,
    log,
  });
  await runMachine({ machine, identity, rotation, config, log }, scope);
  await socket.start();
  scope.defer("local socket", () => socket.stop());
  scope.task("byte code", (signal) => quickenLayers(layers, { searchPath, log }, signal));
  const { vmId, name } = identity.state;
  scope.ready({ vmId, name, incarnation: String(incarnation.number), wakeUps: config.wakeUps });
}

/** A second daemon started by mistake is refused, whichever of the two directories it shares. */
function holdDirectory(systemCalls: SystemCalls, directory: string, scope: Scope): void {
  const lock = lockDirectory(systemCalls, directory);
  scope.defer(`lock of ${directory}`, () => {
    lock.release();
  });
}

function openProcesses(
  { config, environment, log }: VmAgentOptions,
  { socketPath, layers }: Pick<SupervisorDeps, "socketPath" | "layers">,
  scope: Scope,
): AgentProcesses {
  const supervisor = new Supervisor({
    stateDir: config.stateDir,
    socketPath,
    inheritedEnv: environment,
    ...(layers && { layers }),
    bootId: readBootId(),
    cgroupParent: findCgroupParent(),
    clock,
    log,
  });
  supervisor.start();
  scope.defer("supervisor", () => supervisor.stop());
  const adopted = new AdoptedAgents({
    ...{ stateDir: config.stateDir, socketPath, bootId: readBootId(), clock, log },
    taken: () => takenBy(supervisor),
  });
  adopted.start();
  scope.defer("adopted agents", () => adopted.stop());
  return joinAgentProcesses(supervisor, adopted);
}

function openNames({ runDir }: VmAgentConfig, supervisor: AgentProcesses): AgentNames {
  return createAgentNames(runDir, (agentId) => {
    const state = supervisor.get(agentId);
    return state !== undefined && !hasEnded(state);
  });
}

interface RunDeps {
  machine: Machine;
  identity: VmIdentity;
  rotation: Channel;
  config: VmAgentConfig;
  log: Log;
}

async function runMachine(
  { machine, identity, rotation, config, log }: RunDeps,
  scope: Scope,
): Promise<void> {
  const { tenantId, vmId } = identity.state;
  const wakeUps = await openWakeUps({
    kind: config.wakeUps,
    kafka: config.kafka,
    ...{ tenantId, vmId, clock, log },
    client: createClient(VmSyncServiceService, rotation),
    listener: machine.listener,
    everyMs: config.reconcileEveryMs,
  });
  machine.connect(wakeUps);
  scope.task("identity", (signal) => identity.run(signal));
  scope.task("reconciler", (signal) => machine.run(signal));
  scope.task("wake-ups", (signal) => wakeUps.run(signal));
  const rotations = createClient(SelfRotationServiceService, rotation);
  scope.task("auto-rotation", (signal) =>
    runAutoRotation({ client: rotations, clock, log }, signal),
  );
}

function openChannels({ catalogAddress, rotationAddress, tls }: VmAgentConfig) {
  const shared = { keepaliveMs: 1_000, maxMessageBytes: 16 * 1024 * 1024, ...(tls && { tls }) };
  return {
    catalog: openChannel({ address: catalogAddress, ...shared }),
    rotation: openChannel({ address: rotationAddress, ...shared }),
  };
}

/** A spent token may stay in its place or be gone: a machine that has joined needs none. */
function readJoinToken(file: string | undefined) {
  if (file === undefined) return undefined;
  try {
    return sensitive(readFileSync(file, "utf8").trim());
  } catch {
    return undefined; // Said by whoever needs it.
  }
}

function daemonStatus(
  identity: VmIdentity,
  incarnation: Incarnation,
  supervisor: AgentProcesses,
): object {
  const { vmId, tenantId, name } = identity.state;
  const agents = supervisor.list().map(({ agentId, phase }) => ({ agent_id: agentId, phase }));
  return {
    vm_id: vmId,
    tenant_id: tenantId,
    name,
    incarnation: String(incarnation.number),
    agents,
  };
}
