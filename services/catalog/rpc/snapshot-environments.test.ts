import { createHash, createHmac, randomUUID } from "node:crypto";
import { SecretDelivery } from "../../../gen/murmur/catalog/v1/secrets";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { startCatalog, type TestCatalog } from "../../../test/harness/catalog";
import { createCatalogTenant, type CatalogTenant } from "../../../test/harness/catalog-tenant";
import type { OpenedEnvironment } from "../domain/environment";

let catalog: TestCatalog;
let acme: CatalogTenant;
beforeAll(async () => {
  catalog = await startCatalog();
});
beforeEach(async () => {
  acme = await createCatalogTenant(catalog);
});
afterAll(() => catalog.stop());

const take = async (...input: Parameters<CatalogTenant["snapshot"]>) =>
  (await acme.snapshot(...input)).snapshots;
const count = async (sql: string) => {
  const { rows } = await catalog.database.pool.query<{ count: bigint }>(
    `select count(*) from catalog.${sql}`,
    [acme.id],
  );
  return Number(rows[0]!.count);
};

describe("SnapshotEnvironments", () => {
  it("pins what is current, so that a later write changes no earlier generation", async () => {
    await acme.set("DATABASE_URL", "one");
    const agent = acme.agent();
    const [first] = await take(agent);
    await acme.set("DATABASE_URL", "two");
    const [second] = await take(agent);
    expect(await acme.values(agent, 1n)).toEqual({ DATABASE_URL: "one" });
    expect(await acme.values(agent, 2n)).toEqual({ DATABASE_URL: "two" });
    expect(first).toMatchObject({ generation: 1n, unchanged: false });
    expect(second).toMatchObject({
      generation: 2n,
      unchanged: false,
      changedNames: ["DATABASE_URL"],
    });
  });

  it("tells the fingerprint that the VM works out from the open set", async () => {
    await acme.set("A", "1");
    await acme.set("Z_PEM", Buffer.from([0xff, 0xfe]), SecretDelivery.SECRET_DELIVERY_FILE);
    const agent = acme.agent();
    const [snapshot] = await take(agent);
    const opened = (await acme.open(agent, 1n)) as OpenedEnvironment;
    expect(opened.variables.map(({ name, asFile }) => [name, asFile])).toEqual([
      ["A", false],
      ["Z_PEM", true],
    ]);
    const digest = createHash("sha256");
    for (const { name, value, asFile } of opened.variables) {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(value.expose().length);
      digest.update(`${name}\0`).update(Buffer.from([asFile ? 1 : 0]));
      digest.update(length).update(value.expose());
    }
    const fingerprint = createHmac("sha256", opened.fingerprintKey.expose())
      .update([agent.agentId, "1", ""].join("\0"))
      .update(digest.digest())
      .digest();
    expect(snapshot!.fingerprint).toEqual(fingerprint);
  });

  it("makes a generation though nothing changed, with another fingerprint, and says so", async () => {
    await acme.set("A", "1");
    const agent = acme.agent();
    const [first] = await take(agent);
    const [second] = await take(agent);
    expect(second).toMatchObject({ generation: 2n, unchanged: true, changedNames: [] });
    expect(second!.fingerprint).not.toEqual(first!.fingerprint);
  });

  it("unsets every name that any earlier generation had and this one has not", async () => {
    const agent = acme.agent();
    for (const name of ["A", "B", "C"]) await acme.set(name, "1");
    await take(agent);
    await acme.owner.secrets.deleteSecret({ name: "A" });
    const [second] = await take(agent);
    await acme.owner.secrets.deleteSecret({ name: "B" });
    await take(agent);
    await acme.set("A", "back");
    await take(agent);
    expect(second!.changedNames).toEqual(["A"]);
    const unset = async (generation: bigint) =>
      ((await acme.open(agent, generation)) as OpenedEnvironment).unsetNames;
    expect(await unset(2n)).toEqual(["A"]);
    expect(await unset(3n)).toEqual(["A", "B"]);
    expect(await unset(4n)).toEqual(["B"]);
  });

  it("unsets the variable that a secret filled before its delivery changed", async () => {
    const agent = acme.agent();
    await acme.set("CERT", "1");
    await take(agent);
    await acme.set("CERT", "2", SecretDelivery.SECRET_DELIVERY_FILE);
    await take(agent);
    expect(await acme.open(agent, 2n)).toMatchObject({ unsetNames: ["CERT"] });
    await acme.set("CERT", "3", SecretDelivery.SECRET_DELIVERY_ENVIRONMENT);
    await take(agent);
    expect(await acme.open(agent, 3n)).toMatchObject({ unsetNames: ["CERT_FILE"] });
  });

  it("gives each workspace what it takes, and warns of names that do not exist", async () => {
    const { workspaces } = acme.owner;
    for (const name of ["A", "B"]) await acme.set(name, name);
    await workspaces.setWorkspace({ name: "none", secretRefs: { names: [] }, vms: [] });
    const names = ["B", "MISSING"];
    await workspaces.setWorkspace({ name: "some", secretRefs: { names }, vms: [] });
    const agents = ["backend", "none", "some"].map((workspace) => acme.agent({ workspace }));
    const snapshots = await take(agents);
    expect(snapshots.map(({ agentId }) => agentId)).toEqual(agents.map(({ agentId }) => agentId));
    expect(snapshots.map(({ missingNames }) => missingNames)).toEqual([[], [], ["MISSING"]]);
    expect(await acme.values(agents[0]!, 1n)).toEqual({ A: "A", B: "B" });
    expect(await acme.values(agents[1]!, 1n)).toEqual({});
    expect(await acme.values(agents[2]!, 1n)).toEqual({ B: "B" });
    const onlySome = await take(acme.agent({ workspace: "some" }));
    expect(onlySome[0]).toMatchObject({ missingNames: ["MISSING"], changedNames: ["B"] });
  });

  it("stores one set for a thousand agents of one content, and a MAC for each", async () => {
    await acme.set("A", "1");
    const agents = Array.from({ length: 1_000 }, () => acme.agent());
    const snapshots = await take(agents);
    expect(new Set(snapshots.map(({ fingerprint }) => fingerprint.toString("hex"))).size).toBe(
      1_000,
    );
    expect(await count("environment_sets where tenant_id = $1")).toBe(1);
    expect(await count("generations where tenant_id = $1")).toBe(1_000);
    expect(await acme.values(agents[999]!, 1n)).toEqual({ A: "1" });
  });

  it("makes sets of their own for many agents at once, each with its own secret", async () => {
    const agents = Array.from({ length: 50 }, () => acme.agent());
    for (const { agentId } of agents) {
      const secrets = [{ name: "ONLY", plaintextValue: Buffer.from(agentId) }];
      await acme.owner.environments.storeSpawnSecrets({ agentId, secrets });
    }
    await take(agents);
    for (const agent of [agents[0]!, agents[49]!])
      expect(await acme.values(agent, 1n)).toEqual({ ONLY: agent.agentId });
    expect(await count("environment_sets where tenant_id = $1")).toBe(50);
  });

  it("records each generation by who asked for it", async () => {
    const agent = acme.agent();
    await take(agent);
    const { rows } = await catalog.database.pool.query(
      `select actor_kind, actor_id, object_kind, object_id, outcome, detail from catalog.audit
       where tenant_id = $1 and action = 'environment.snapshot'`,
      [acme.id],
    );
    expect(rows).toEqual([
      {
        actor_kind: "service",
        actor_id: "rotation",
        object_kind: "agent",
        object_id: agent.agentId,
        outcome: "ok",
        detail: { generation: 1 },
      },
    ]);
  });
});

describe("SnapshotEnvironments refuses", () => {
  const refused = (reason: keyof typeof ErrorReason, message: unknown = expect.any(String)) => ({
    reason: ErrorReason[reason],
    message: message as string,
  });

  it("a set over 512 KiB, naming the agent and its largest names, and makes nothing", async () => {
    for (let index = 0; index < 9; index++) await acme.set(`BIG_${index}`, "x".repeat(60_000));
    const agents = [acme.agent({ path: "parent/child" }), acme.agent()];
    await expect(take(agents)).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
      ...refused("ERROR_REASON_ENVIRONMENT_TOO_LARGE", expect.stringContaining('"parent/child"')),
      metadata: {
        agent: "parent/child",
        names: "9",
        largest: expect.stringContaining("BIG_0") as string,
      },
    });
    expect(await count("generations where tenant_id = $1")).toBe(0);
    expect(await count("agents where tenant_id = $1")).toBe(0);
  });

  it("more than 1,000 names", async () => {
    await catalog.database.pool.query(
      `insert into catalog.secrets (tenant_id, owner, name, version, version_id, size_bytes,
         as_file, created_at, updated_at, updated_by)
       select $1, '', 'N' || n, 1, gen_random_uuid(), 1, false, now(), now(), 'x'
       from generate_series(1, 1001) n`,
      [acme.id],
    );
    await expect(take(acme.agent())).rejects.toMatchObject({
      ...refused("ERROR_REASON_ENVIRONMENT_TOO_LARGE"),
      metadata: { names: "1001" },
    });
  });

  it("a workspace that does not exist, also when other agents' does", async () => {
    const agents = [acme.agent(), acme.agent({ workspace: "gone" })];
    await expect(take(agents)).rejects.toMatchObject({
      code: "NOT_FOUND",
      ...refused("ERROR_REASON_WORKSPACE_NOT_FOUND", 'workspace "gone" not found'),
    });
    expect(await count("generations where tenant_id = $1")).toBe(0);
  });

  it("a VM that was removed, never was, or is another tenant's", async () => {
    const other = await createCatalogTenant(catalog);
    const refusal = refused("ERROR_REASON_VM_REMOVED");
    for (const vmId of [randomUUID(), other.vm.id, "no id"])
      await expect(take(acme.agent({ vmId }))).rejects.toMatchObject(refusal);
    await acme.owner.vms.removeVm({ name: acme.vm.name });
    await expect(take(acme.agent())).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
      ...refusal,
    });
  });

  it("an agent that is over", async () => {
    const agent = acme.agent();
    await take(agent);
    const release = { agentId: agent.agentId, floor: 0n, confirmed: 0n, ended: true };
    await acme.rotation.releaseGenerations({ releases: [release] });
    await expect(take(agent)).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
      ...refused("ERROR_REASON_AGENT_ENDED", 'agent "fix-auth" is over'),
    });
  });

  it("what is malformed, and names each field", async () => {
    const agent = acme.agent();
    const wrong = [agent, agent, acme.agent({ agentId: "X", vmId: "", workspace: "" })];
    await expect(take(wrong, "x".repeat(129))).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      violations: [
        "agents[1].agent_id",
        "agents[2].agent_id",
        "agents[2].vm_id",
        "agents[2].workspace",
        "request_id",
      ].map((field) => ({ field, description: expect.any(String) as string })),
    });
    await expect(take([])).rejects.toMatchObject({ metadata: { field: "agents" } });
    const tooMany = Array.from({ length: 1_001 }, () => acme.agent());
    await expect(take(tooMany)).rejects.toMatchObject({ metadata: { field: "agents" } });
    const upper = acme.agent({ agentId: randomUUID().toUpperCase() });
    await expect(take(upper)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });
});

describe("SnapshotEnvironments with a request id", () => {
  it("gives the first answer again and makes no second generation", async () => {
    await acme.set("A", "1");
    const agents = [acme.agent(), acme.agent()];
    const first = await take(agents, "rollout-1");
    await acme.set("A", "2");
    expect(await take(agents, "rollout-1")).toEqual(first);
    expect(await count("generations where tenant_id = $1")).toBe(2);
    expect((await take(agents, "rollout-2"))[0]).toMatchObject({ generation: 2n });
  });

  it("makes one generation for many calls at once", async () => {
    const agent = acme.agent();
    const answers = await Promise.all(Array.from({ length: 8 }, () => take(agent, "once")));
    for (const answer of answers) expect(answer).toEqual(answers[0]);
    expect(await count("generations where tenant_id = $1")).toBe(1);
  });

  it("gives the first answer also when the same call would be refused now", async () => {
    const agent = acme.agent();
    const first = await take(agent, "once");
    await acme.owner.vms.removeVm({ name: acme.vm.name });
    expect(await take(agent, "once")).toEqual(first);
  });

  it("is refused for other agents", async () => {
    await take(acme.agent(), "once");
    await expect(take(acme.agent(), "once")).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      reason: ErrorReason.ERROR_REASON_REQUEST_ID_REUSED,
    });
  });

  it("is refused for the same agent with other spawn-time secrets", async () => {
    const agent = acme.agent();
    await take(agent, "once");
    await expect(take({ ...agent, expectsSpawnSecrets: true }, "once")).rejects.toMatchObject({
      reason: ErrorReason.ERROR_REASON_REQUEST_ID_REUSED,
    });
  });

  it("may use the id again when its hour is over", async () => {
    const agent = acme.agent();
    await take(agent, "once");
    await catalog.database.pool.query(
      `update catalog.requests set expires_at = now() where tenant_id = $1`,
      [acme.id],
    );
    expect((await take(agent, "once"))[0]!.generation).toBe(2n);
    expect((await take(agent, "once"))[0]!.generation).toBe(2n);
  });
});

describe("SnapshotEnvironments for a rollback", () => {
  const back = (agent: ReturnType<CatalogTenant["agent"]>, to: bigint) =>
    take({ ...agent, rollbackToGeneration: to });

  it("is a new generation with the old pins", async () => {
    const agent = acme.agent();
    await acme.set("A", "old");
    await take(agent);
    await acme.set("A", "new");
    await acme.set("B", "since");
    await take(agent);
    const [snapshot] = await back(agent, 1n);
    expect(snapshot).toMatchObject({
      generation: 3n,
      unchanged: false,
      changedNames: ["A", "B"],
      notRolledBackNames: [],
    });
    expect(await acme.values(agent, 3n)).toEqual({ A: "old" });
    expect(await acme.open(agent, 3n)).toMatchObject({ unsetNames: ["B"] });
  });

  it("keeps the current state of what was deleted since, and lists it", async () => {
    const agent = acme.agent();
    for (const name of ["A", "GONE", "AGAIN"]) await acme.set(name, "old");
    await take(agent);
    for (const name of ["GONE", "AGAIN"]) await acme.owner.secrets.deleteSecret({ name });
    for (const name of ["A", "AGAIN"]) await acme.set(name, "new");
    const [snapshot] = await back(agent, 1n);
    expect(snapshot!.notRolledBackNames).toEqual(["AGAIN", "GONE"]);
    expect(await acme.values(agent, 2n)).toEqual({ A: "old", AGAIN: "new" });
  });

  it("keeps the spawn-time secrets", async () => {
    const agent = acme.agent();
    const secrets = [{ name: "ONLY", plaintextValue: Buffer.from("mine") }];
    await acme.owner.environments.storeSpawnSecrets({ agentId: agent.agentId, secrets });
    await take(agent);
    await take(agent);
    await back(agent, 1n);
    expect(await acme.values(agent, 3n)).toEqual({ ONLY: "mine" });
  });

  it("is refused when there is nothing to go back to, or it is not kept any more", async () => {
    const agent = acme.agent();
    await expect(back(agent, 1n)).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
      reason: ErrorReason.ERROR_REASON_NOTHING_TO_ROLL_BACK,
      metadata: { agent_id: agent.agentId },
    });
    await take(agent);
    await take(agent);
    const release = { agentId: agent.agentId, floor: 2n, confirmed: 2n, ended: false };
    await acme.rotation.releaseGenerations({ releases: [release] });
    for (const generation of [1n, 3n, 99n])
      await expect(back(agent, generation)).rejects.toMatchObject({
        code: "FAILED_PRECONDITION",
        reason: ErrorReason.ERROR_REASON_GENERATION_NOT_AVAILABLE,
      });
    await expect(back(agent, 0n)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    expect((await take(agent))[0]!.generation).toBe(3n);
  });
});
