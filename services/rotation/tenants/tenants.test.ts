import { randomBytes, sign } from "node:crypto";
import { SecretDelivery } from "../../../gen/murmur/catalog/v1/secrets";
import { AgentPhase } from "../../../gen/murmur/rotation/v1/agents";
import { CredentialKind } from "../../../gen/murmur/rotation/v1/credentials";
import { TenantDeletionStage as Stage } from "../../../gen/murmur/rotation/v1/tenants";
import { AgentWish } from "../../../gen/murmur/rotation/v1/vm_sync";
import {
  bearerCredentials,
  serviceCredentials,
  vmCredentials,
} from "../../../lib/identity/credentials";
import { joinMessage, renewMessage } from "../../../lib/identity/signed-messages";
import { rawPublicKey } from "../../../lib/identity/signing-key";
import type { Db } from "../../../lib/postgres/db";
import { sensitive } from "../../../lib/sensitive";
import { connectVm, type ScriptedVm, spawnRequest } from "../../../test/fakes/scripted-vm";
import { startCatalog, type TestCatalog, type TestVm } from "../../../test/harness/catalog";
import { API_KEY, toShown } from "../../../test/harness/credentials";
import { eventually } from "../../../test/harness/eventually";
import { startRotation, type TestRotation } from "../../../test/harness/rotation";
import { ALL_TENANTS } from "../../../verifier/rotation-channel";

const UNAUTHENTICATED = expect.objectContaining({ code: "UNAUTHENTICATED" }) as unknown;
/** What stays of a tenant: the audit, the fact, what a VM that was away is known by, and ids for an hour. */
const STAYS = ["audit", "audit_chain", "audit_checkpoints", "ended_tenants", "tenant_deletions"];
const STAYS_TOO = ["departed_vms", "outbox"];

let catalog: TestCatalog;
let rotation: TestRotation;
let other: TestRotation;
const open: ScriptedVm[] = [];

beforeAll(async () => {
  catalog = await startCatalog();
  rotation = await startRotation({ catalog });
  other = await startRotation({ catalog, beside: rotation });
});
afterAll(async () => {
  for (const vm of open) vm.close();
  await other.stop();
  await rotation.stop();
  await catalog.stop();
});

/** A tenant with something of everything. */
async function furnish(tenantId: string) {
  const credentials = catalog.developer({ tenantId });
  const owner = rotation.clients(credentials);
  const { secrets, users, workspaces, vms } = catalog.clients(credentials);
  const { token } = await owner.identity.renewIdentityToken({});
  await workspaces.setWorkspace({
    ...{ name: "backend", description: undefined, vms: [], expectedRevision: undefined },
    secretRefs: undefined,
  });
  const value = { plaintextValue: Buffer.from("value"), description: undefined };
  const plain = { createdAt: undefined, expectedVersion: undefined, requestId: "" };
  const delivery = SecretDelivery.SECRET_DELIVERY_ENVIRONMENT;
  await secrets.setSecret({ name: "API_KEY", ...value, ...plain, delivery });
  const mine = { user: "github/alice", name: "MINE", requestId: "" };
  await users.setUserSecret({ ...mine, ...value, ...plain, delivery });
  const machines = [await catalog.joinVm(tenantId, "vm-1"), await catalog.joinVm(tenantId, "vm-2")];
  const [near, far] = await Promise.all(machines.map((it) => connect(it)));
  for (const vm of ["vm-1", "vm-2"])
    await owner.agents.spawnAgent(spawnRequest({ workspace: "backend", slug: `on-${vm}`, vm }));
  const away = (await owner.agents.getAgent({ workspace: "backend", path: "on-vm-2" })).agent;
  await eventually(() => {
    expect(far?.applied.size).toBe(1);
    expect(near?.applied.size).toBe(1);
  });
  far?.close();
  return {
    ...{ tenantId, owner, token, machines, awayId: away?.agentId ?? "" },
    applied: far?.applied ?? new Map<string, never>(),
    key: toShown(await owner.credentials.createCredential(API_KEY)).value,
    agentToken: toShown(
      await owner.credentials.createCredential({
        ...{ ...API_KEY, kind: CredentialKind.CREDENTIAL_KIND_AGENT_TOKEN, agentName: "helper" },
      }),
    ).value,
    pair: await owner.selfRotation.registerAgent({ invitation: "", name: "own", requestId: "" }),
    invitation: (await owner.selfRotation.inviteAgent({})).invitation,
    joinToken: (await vms.issueJoinToken({ name: "vm-3" })).joinToken,
  };
}

async function connect(machine: TestVm, change = {}): Promise<ScriptedVm> {
  const client = rotation.clients(machine.credentials).vmSync;
  const vm = await connectVm({ client, isObedient: true, ...change });
  open.push(vm);
  return vm;
}

const requestIdOf = () => randomBytes(24).toString("base64url");
const bearer = (token: string) => bearerCredentials(sensitive(token));

/** How many rows each table has of a tenant. */
async function rowsOf(db: Db, schema: string, tenantId: string): Promise<Record<string, number>> {
  const { rows } = await db.query<{ table_name: string }>(
    `select table_name from information_schema.columns
     where table_schema = $1 and column_name = 'tenant_id' order by table_name`,
    [schema],
  );
  const counts: Record<string, number> = {};
  for (const { table_name: table } of rows) {
    if ([...STAYS, ...STAYS_TOO].includes(table)) continue;
    const sql = `select from ${schema}.${table} where tenant_id = $1`;
    counts[`${schema}.${table}`] = (await db.query(sql, [tenantId])).rowCount;
  }
  return counts;
}

const allRowsOf = async (tenantId: string) => ({
  ...(await rowsOf(catalog.database.pool, "catalog", tenantId)),
  ...(await rowsOf(rotation.database.pool, "rotation", tenantId)),
});

type Furnished = Awaited<ReturnType<typeof furnish>>;

/** Calls by every kind of credential of a tenant; some can be used once only. */
function attempts(of: Furnished, replica: TestRotation): [string, () => Promise<unknown>][] {
  const { tenantId } = of;
  const [machine] = of.machines;
  const vm = machine?.credentials;
  const service = catalog.clients(catalog.rotation(tenantId));
  const fresh = catalog.developer({ tenantId, id: "github/newcomer" });
  const key = rawPublicKey(machine!.identity.publicKey);
  const signature = sign(null, joinMessage(sensitive(of.joinToken)), machine!.identity.privateKey);
  const { apiKey, rotationSecret } = of.pair;
  const pair = { apiKey, rotationSecret, requestId: "", confirm: "" };
  const spawn = spawnRequest({ workspace: "backend", slug: "late" });
  const page = { pageSize: 0, pageToken: "" };
  return [
    ["identity token", () => replica.clients(bearer(of.token)).identity.getIdentity({})],
    ["a new person's", () => replica.clients(fresh).identity.getIdentity({})],
    ["API key", () => replica.clients(bearer(of.key)).identity.getIdentity({})],
    ["agent token", () => replica.clients(bearer(of.agentToken)).identity.getIdentity({})],
    ["VM", () => replica.clients(vm).agents.spawnAgent(spawn)],
    ["pair", () => replica.clients().selfRotation.rotateSelf(pair)],
    [
      "invitation",
      () =>
        replica.clients().selfRotation.registerAgent({
          ...{ invitation: of.invitation, name: "", requestId: "" },
        }),
    ],
    ["token at the catalog", () => catalog.clients(bearer(of.token)).secrets.listSecrets(page)],
    ["new person's there", () => catalog.clients(fresh).secrets.listSecrets(page)],
    [
      "VM at the catalog",
      () =>
        catalog.clients(vm).environments.storeSpawnSecrets({
          ...{ agentId: of.awayId, secrets: [], requestId: "" },
        }),
    ],
    [
      "rotation at the catalog",
      () =>
        service.environments.snapshotEnvironments({
          ...{ agents: [], requestId: "" },
        }),
    ],
    [
      "join token",
      () =>
        catalog.clients().vms.joinVm({
          ...{ joinToken: of.joinToken, identityPublicKey: key, signature },
        }),
    ],
  ];
}

const outcomesOf = (of: Furnished, replica: TestRotation) =>
  Promise.all(
    attempts(of, replica).map(async ([name, attempt]) => {
      const code = await attempt().then(
        () => "OK",
        (error: unknown) => (error as { code: string }).code,
      );
      return `${name}: ${code}`;
    }),
  );

describe("a tenant that its owner deletes", () => {
  let doomed: Furnished;
  let spared: Furnished;
  let sparedRows: Record<string, number>;
  const requestId = requestIdOf();
  const anyone = () => other.clients().tenants.getTenantDeletion({ requestId });

  beforeAll(async () => {
    doomed = await furnish("doomed");
    spared = await furnish("spared");
    sparedRows = await allRowsOf("spared");
    const before = await outcomesOf(doomed, rotation);
    expect(before.filter((it) => it.endsWith("UNAUTHENTICATED"))).toEqual([]);
  });

  it("is named by whoever means it, who is an owner", async () => {
    const { tenants } = doomed.owner;
    await expect(tenants.deleteTenant({ confirmTenant: "doom", requestId })).rejects.toMatchObject({
      ...{ code: "INVALID_ARGUMENT", violations: [{ field: "confirm_tenant" }] },
    });
    await expect(
      tenants.deleteTenant({ confirmTenant: "doomed", requestId: "" }),
    ).rejects.toMatchObject({ violations: [{ field: "request_id" }] });
    const admin = catalog.developer({ tenantId: "doomed", role: "admin", id: "github/bob" });
    await expect(
      rotation.clients(admin).tenants.deleteTenant({ confirmTenant: "doomed", requestId }),
    ).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
    await expect(anyone()).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  it("has no credential that counts from the answer on, at any replica", async () => {
    doomed = { ...doomed, ...(await renewed(doomed)) };
    const wish = { confirmTenant: "doomed", requestId };
    const { deletion } = await doomed.owner.tenants.deleteTenant(wish);
    expect(deletion).toMatchObject({
      tenantId: "doomed",
      stage: Stage.TENANT_DELETION_STAGE_ENDING,
    });
    const outcomes = [rotation, other].map((replica) => outcomesOf(doomed, replica));
    const isRefused = /: (UNAUTHENTICATED|PERMISSION_DENIED)$/;
    expect((await Promise.all(outcomes)).flat().filter((it) => !isRefused.test(it))).toEqual([]);
    const who = { service: "catalog", audience: "rotation", tenantId: ALL_TENANTS };
    const verifier = serviceCredentials({ key: catalog.rotationKey, ...who });
    for (const value of [doomed.key, doomed.agentToken, doomed.pair.apiKey]) {
      const { credentials } = other.clients(verifier);
      expect(await credentials.verifyCredential({ value })).toMatchObject({ valid: false });
    }
    const { identity } = other.clients(verifier);
    const tokens = [{ token: doomed.token, peer: "10.0.0.1:1" }];
    expect((await identity.verifyIdentityTokens({ tokens })).answers).toMatchObject([
      { valid: false },
    ]);
  });

  it("has its agents ended by their VMs, and says which VMs are away", async () => {
    await eventually(async () => {
      const { deletion } = await anyone();
      expect(deletion).toMatchObject({ agentsLiving: 1, waitingVms: ["vm-2"] });
    });
    expect(await allRowsOf("doomed")).toMatchObject({ "catalog.data_keys": 1 });
  });

  it("is removed to the last row when the minute is over, and nobody else's with it", async () => {
    await rotation.pool.query(
      `update rotation.tenant_deletions set purge_after = clock_timestamp()`,
    );
    await eventually(async () => {
      const { deletion } = await anyone();
      expect(deletion).toMatchObject({ stage: Stage.TENANT_DELETION_STAGE_DONE, agentsLiving: 1 });
    });
    const left = Object.entries(await allRowsOf("doomed")).filter(([, rows]) => rows > 0);
    expect(left).toEqual([]);
    expect(await allRowsOf("spared")).toEqual(sparedRows);
    const outcomes = await outcomesOf(spared, other);
    expect(outcomes.filter((it) => it.endsWith("UNAUTHENTICATED"))).toEqual([]);
  });

  it("leaves the audit, with its end in the installation's chain, too", async () => {
    const { rows } = await rotation.pool.query<{ tenant_id: string; action: string }>(
      `select tenant_id, action from rotation.audit
       where object_id = 'doomed' and action like 'tenant.%' order by id`,
    );
    expect(rows).toEqual([
      { tenant_id: "doomed", action: "tenant.delete" },
      { tenant_id: "", action: "tenant.delete" },
      { tenant_id: "", action: "tenant.purge" },
    ]);
    const { rows: kept } = await catalog.database.pool.query<{ action: string }>(
      `select distinct action from catalog.audit where tenant_id = 'doomed'`,
    );
    const actions = kept.map(({ action }) => action);
    expect(actions).toEqual(expect.arrayContaining(["secret.set", "tenant.end"]));
  });

  it("tells a VM that was away to end what it still has, when it comes back", async () => {
    const away = doomed.machines[1]!;
    const machine = { ...away, credentials: await comeBack(away) };
    const vm = await connect(machine, { applied: doomed.applied, incarnationNumber: 2n });
    await eventually(() => {
      expect(vm.desired.get(doomed.awayId)?.wish).toBe(AgentWish.AGENT_WISH_END);
    });
    expect(await vm.ended).toEqual(UNAUTHENTICATED);
    const told = vm.received.flatMap(({ message }) =>
      message?.$case === "desired" ? [message.value] : [],
    );
    expect(told.at(-1)).toMatchObject({ complete: true, agents: [] });
  });

  it("tells the same to one that asks in calls, for as long as it has something", async () => {
    const { vmSync } = rotation.clients(doomed.machines[1]?.credentials);
    const running = { agentId: doomed.awayId, phase: AgentPhase.AGENT_PHASE_RUNNING };
    const report = { ...running, exitStatus: undefined, processes: [] };
    const hello = {
      ...{ bootId: "b", incarnation: "i", incarnationNumber: 3n, applied: [] },
    };
    const asked = { hello: { ...hello, agents: [report] }, update: undefined };
    expect((await vmSync.syncVm(asked)).desired?.agents).toMatchObject([
      { agentId: doomed.awayId, wish: AgentWish.AGENT_WISH_END },
    ]);
    const ended = { ...report, phase: AgentPhase.AGENT_PHASE_CANCELLED };
    const again = { hello: { ...hello, agents: [ended] }, update: undefined };
    expect((await vmSync.syncVm(again)).desired).toMatchObject({ complete: true, agents: [] });
  });

  it("never has its name free again", async () => {
    const anew = catalog.developer({ tenantId: "doomed", id: "github/anew" });
    await expect(rotation.clients(anew).identity.getIdentity({})).rejects.toEqual(UNAUTHENTICATED);
    const { rowCount } = await rotation.pool.query(
      `select from rotation.people where tenant_id = 'doomed'`,
    );
    expect(rowCount).toBe(0);
  });
});

/** What an attempt used up or changed. */
async function renewed({ owner }: Furnished) {
  const name = `own-${randomBytes(4).toString("hex")}`;
  const { vms } = catalog.clients(catalog.developer({ tenantId: "doomed" }));
  return {
    pair: await owner.selfRotation.registerAgent({ invitation: "", name, requestId: "" }),
    invitation: (await owner.selfRotation.inviteAgent({})).invitation,
    joinToken: (await vms.issueJoinToken({ name: "vm-4" })).joinToken,
  };
}

/** By its key, long after its tenant has gone. */
async function comeBack({ id, identity }: TestVm) {
  const nonce = randomBytes(16);
  const signedAt = new Date(Math.floor(Date.now() / 1000) * 1000);
  const message = renewMessage(id, BigInt(signedAt.getTime() / 1000), nonce);
  const signature = sign(null, message, identity.privateKey);
  const { vmToken } = await catalog
    .clients()
    .vms.renewVmToken({ vmId: id, signedAt, nonce, signature });
  return vmCredentials(identity, () => Promise.resolve(sensitive(vmToken)));
}
