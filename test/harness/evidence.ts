import { randomUUID } from "node:crypto";
import { AgentPhase, type AgentProcess } from "../../gen/murmur/rotation/v1/agents";
import type { Evidence } from "../../gen/murmur/rotation/v1/evidence";
import type { AgentReport } from "../../gen/murmur/rotation/v1/vm_sync";
import type { Credential } from "../../gen/murmur/rotation/v1/credentials";
import { SecretDelivery } from "../../gen/murmur/catalog/v1/secrets";
import { serviceCredentials } from "../../lib/identity/credentials";
import type { Role } from "../../lib/identity/principal";
import { connectVm, type ScriptedVm, spawnRequest } from "../fakes/scripted-vm";
import { type CatalogClients, startCatalog, type TestCatalog, type TestVm } from "./catalog";
import { API_KEY, type Shown, toShown } from "./credentials";
import { eventually } from "./eventually";
import {
  type RotationClients,
  startRotation,
  type TestRotation,
  type TestRotationOptions,
} from "./rotation";

/** An API key that a tenant secret carries to agents. */
export interface Carried extends Shown {
  id: string;
  secretName: string;
}

/** A VM that does what the test says. */
export interface TestMachine extends ScriptedVm {
  machine: TestVm;
  /** How often its daemon was started. */
  life: bigint;
}

/** Rotation and a real catalog, with keys that secrets carry, agents, and VMs that obey the test. */
export interface EvidenceRig {
  catalog: TestCatalog;
  rotation: TestRotation;
  /** An owner of t1. */
  alice: RotationClients;
  secrets: CatalogClients["secrets"];
  clientsOf(role: Role, id?: string): RotationClients;
  /** Sets a secret. */
  set(name: string, value: string): Promise<bigint>;
  /** A new key in a new secret. */
  carried(): Promise<Carried>;
  /** Anew, or again, in a later life of its daemon. */
  connect(earlier?: TestMachine): Promise<TestMachine>;
  /** A new agent on it, which stands on its first generation when this resolves. */
  spawn(vm: TestMachine, change?: { workspace?: string; slug?: string }): Promise<string>;
  /** Until the VM was told of a generation after this one. */
  told(vm: TestMachine, agentId: string, after: bigint): Promise<bigint>;
  rotate(id: string, change?: RotateChange): Promise<Shown & { replaced: Credential }>;
  evidenceOf(id: string): Promise<Evidence>;
  isValid(value: string): Promise<boolean>;
  /** Until no replica calls it valid: what ends without a call that waits for that is remembered for a moment. */
  ended(value: string): Promise<void>;
  /** Keeps secrets from being written, until what it resolves with is called: that writes this one. */
  holdSecrets(): Promise<(secretName: string) => Promise<void>>;
  /** Lets time pass for a case: what it has of times becomes that much older. */
  pass(id: string, seconds: number): Promise<void>;
  stop(): Promise<void>;
}

export interface RotateChange {
  graceSeconds?: number;
  requestId?: string;
  secretName?: string;
}

/** A workspace that takes all secrets of the tenant. */
export const WORKSPACE = "backend";

/** Starts all of it in this process; `stop` it in `afterAll`. */
export async function startEvidenceRig(
  options: Omit<TestRotationOptions, "catalog"> = {},
): Promise<EvidenceRig> {
  const catalog = await startCatalog();
  const rotation = await startRotation({ ...options, catalog });
  const alice = rotation.clients(catalog.developer({ tenantId: "t1" }));
  const { secrets, workspaces } = catalog.clients(catalog.developer({ tenantId: "t1" }));
  for (const name of [WORKSPACE, "frontend"])
    await workspaces.setWorkspace({ name, secretRefs: undefined, vms: [] });
  const who = { service: "verifier", audience: "rotation", tenantId: "t1" };
  const verifier = rotation.clients(serviceCredentials({ key: catalog.rotationKey, ...who }));
  const until = (condition: string, agentId: string) =>
    eventually(async () => {
      const { rowCount } = await rotation.pool.query(
        `select from rotation.agents where agent_id = $1 and ${condition}`,
        [agentId],
      );
      expect(rowCount).toBe(1);
    });
  let count = 0;
  const rig: EvidenceRig = {
    ...{ catalog, rotation, alice, secrets },
    clientsOf: (role, id = `github/${role}`) =>
      rotation.clients(catalog.developer({ tenantId: "t1", role, id })),
    async set(name, value) {
      const { secret } = await secrets.setSecret({
        ...{ name, plaintextValue: Buffer.from(value), createdAt: undefined, requestId: "" },
        delivery: SecretDelivery.SECRET_DELIVERY_UNSPECIFIED,
      });
      return secret?.version ?? 0n;
    },
    async carried() {
      const shown = toShown(await alice.credentials.createCredential(API_KEY));
      const secretName = `KEY_${++count}`;
      await rig.set(secretName, shown.value);
      return { ...shown, id: shown.credential.credentialId, secretName };
    },
    async connect(earlier) {
      const name = `vm-${randomUUID().slice(0, 8)}`;
      const machine = earlier?.machine ?? (await catalog.joinVm("t1", name));
      const client = rotation.clients(machine.credentials).vmSync;
      const life = (earlier?.life ?? 0n) + 1n;
      const applied = new Map(earlier?.applied);
      const vm = await connectVm({ client, incarnationNumber: life, applied });
      return { ...vm, machine, life };
    },
    async spawn(vm, { workspace = WORKSPACE, slug = `a-${randomUUID().slice(0, 8)}` } = {}) {
      const request = spawnRequest({ workspace, slug, vm: vm.machine.name });
      await alice.agents.spawnAgent(request);
      const { agentId } = request;
      await rig.told(vm, agentId, 0n);
      vm.ack(agentId);
      await until("applied > 0", agentId);
      report(vm, agentId);
      await until("reported_at > applied_at", agentId);
      return agentId;
    },
    async told(vm, agentId, after) {
      await eventually(() => {
        expect(vm.desired.get(agentId)?.generation ?? 0n).toBeGreaterThan(after);
      });
      return vm.desired.get(agentId)?.generation ?? 0n;
    },
    async rotate(credentialId, { graceSeconds = 900, requestId = "", secretName } = {}) {
      const answer = await alice.credentials.rotateCredential({
        ...{ credentialId, graceSeconds, requestId, revokeWhenApplied: true },
        ...(secretName !== undefined && { secretName }),
      });
      if (!answer.replaced) throw new Error("answered without the old one");
      return { ...toShown(answer), replaced: answer.replaced };
    },
    async evidenceOf(credentialId) {
      const { credential } = await alice.credentials.getCredential({ credentialId });
      if (!credential?.evidence) throw new Error("answered without evidence");
      return credential.evidence;
    },
    isValid: async (value) => (await verifier.credentials.verifyCredential({ value })).valid,
    ended: (value) =>
      eventually(async () => {
        expect(await rig.isValid(value)).toBe(false);
      }),
    async holdSecrets() {
      const connection = await catalog.database.pool.connect();
      await connection.query("begin");
      await connection.query("lock table catalog.secrets in share mode");
      return async (secretName) => {
        await connection.query("update catalog.secrets set version = version + 1 where name = $1", [
          secretName,
        ]);
        await connection.query("commit");
        connection.release();
      };
    },
    async pass(id, seconds) {
      const earlier = (column: string) => `${column} = ${column} - $2 * interval '1 second'`;
      const update = (table: string, columns: string[], which: string) =>
        rotation.pool.query(
          `update rotation.${table} set ${columns.map(earlier).join()} where ${which}`,
          [id, seconds],
        );
      const ofKeys = ["created_at", "expires_at", "revoked_at", "last_used_at"];
      await update("credentials", ofKeys, "$1 in (credential_id, replaces)");
      const times = ["begun_at", "stored_at", "deadline", "looked_at", "look_after"];
      await update("evidence_cases", times, "credential_id = $1");
    },
    async stop() {
      await rotation.stop();
      await catalog.stop();
    },
  };
  return rig;
}

/** Says what runs of an agent: a process for each of these generations, 0 for one that cannot be told. */
export function report(
  vm: ScriptedVm,
  agentId: string,
  generations: readonly bigint[] = [],
  change: Partial<AgentReport> = {},
): void {
  const processes = generations.map((generation, at): AgentProcess => ({
    ...{ pid: 100 + at, parentPid: 1, name: `p${at}`, startTicks: 1n, generation },
    ...{ layer: generation > 0n ? "bash" : "", readsThrough: false, notAppliedNatively: false },
    ...{ firstUsedAt: undefined, lastUsedBeforeAt: undefined },
  }));
  const phase = AgentPhase.AGENT_PHASE_RUNNING;
  vm.send({ agents: [{ agentId, phase, exitStatus: undefined, processes, ...change }] });
}
