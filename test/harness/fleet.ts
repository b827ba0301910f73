import { randomUUID } from "node:crypto";
import type { Agent } from "../../gen/murmur/rotation/v1/agents";
import type {
  RekeyAgentResponse,
  Rollout,
  RolloutTarget,
} from "../../gen/murmur/rotation/v1/rollouts";
import type { Role } from "../../lib/identity/principal";
import { startFakeCatalog, type FakeCatalog, type FakeVm } from "../fakes/fake-catalog";
import {
  connectVm,
  spawnRequest,
  type ScriptedVm,
  type ScriptedVmOptions,
} from "../fakes/scripted-vm";
import {
  startRotation,
  type RotationClients,
  type TestRotation,
  type TestRotationOptions,
} from "./rotation";

/** A rolled-out state: the rollout and its targets by path. */
export interface SeenRollout {
  rollout: Rollout;
  targets: Map<string, RolloutTarget>;
}

/** Rotation with a catalog and scripted machines; tenant `t1` with the workspace `backend`. */
export interface Fleet {
  catalog: FakeCatalog;
  rotation: TestRotation;
  /** An owner of t1. */
  owner: RotationClients;
  developer(id: string, role?: Role, tenantId?: string): RotationClients;
  machine(name: string, tenantId?: string): FakeVm;
  /** Connects a machine, to this rotation or another replica. */
  connect(
    machine: FakeVm,
    options?: Omit<ScriptedVmOptions, "client"> & { to?: TestRotation },
  ): Promise<ScriptedVm>;
  spawn(slug: string, change?: Partial<Parameters<typeof spawnRequest>[0]>): Promise<Agent>;
  rekey(path: string, requestId?: string): Promise<RekeyAgentResponse>;
  /** Watches a rollout until it is settled. */
  settled(rolloutId: string, by?: RotationClients): Promise<SeenRollout>;
  stop(): Promise<void>;
}

/** Starts all of it in this process; `stop` it in `afterAll`. */
export async function startFleet(
  options: Omit<TestRotationOptions, "catalog"> = {},
): Promise<Fleet> {
  const catalog = await startFakeCatalog();
  const rotation = await startRotation({ ...options, catalog });
  catalog.workspaces.set("t1/backend", []);
  const connected: ScriptedVm[] = [];
  const owner = rotation.clients(catalog.developer({ tenantId: "t1" }));
  const fleet: Fleet = {
    catalog,
    rotation,
    owner,
    developer: (id, role = "member", tenantId = "t1") =>
      rotation.clients(catalog.developer({ tenantId, role, id })),
    machine: (name, tenantId = "t1") => catalog.addVm(tenantId, name),
    async connect(machine, { to = rotation, ...rest } = {}) {
      const vm = await connectVm({ client: to.clients(machine.credentials).vmSync, ...rest });
      connected.push(vm);
      return vm;
    },
    async spawn(slug, change) {
      const request = spawnRequest({ workspace: "backend", slug, ...change });
      const { agent } = await owner.agents.spawnAgent(request);
      if (!agent) throw new Error("spawn answered without an agent");
      return agent;
    },
    rekey: (path, requestId = randomUUID()) =>
      owner.rollouts.rekeyAgent({ workspace: "backend", path, requestId, reason: "" }),
    settled: (rolloutId, by = owner) => watchToEnd(by, rolloutId),
    async stop() {
      for (const vm of connected) vm.close();
      await rotation.stop();
      await catalog.stop();
    },
  };
  return fleet;
}

async function watchToEnd(by: RotationClients, rolloutId: string): Promise<SeenRollout> {
  const targets = new Map<string, RolloutTarget>();
  let rollout: Rollout | undefined;
  for await (const change of by.rollouts.watchRollout({ rolloutId }, { timeoutMs: 15_000 })) {
    rollout = change.rollout;
    for (const target of change.targets) targets.set(target.path, target);
  }
  if (!rollout) throw new Error("the watched rollout was never shown");
  return { rollout, targets };
}
