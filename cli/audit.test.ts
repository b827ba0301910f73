import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { issueDeveloperToken, issueOperatorToken } from "../lib/identity/claims";
import { publicJwkOf } from "../lib/identity/signing-key";
import type { Tx } from "../lib/postgres/db";
import { withTransaction } from "../lib/postgres/transaction";
import { writeRecords } from "../test/harness/audit";
import { startCatalog, type TestCatalog } from "../test/harness/catalog";
import { API_KEY } from "../test/harness/credentials";
import { eventually } from "../test/harness/eventually";
import { buildTestCli, type TestCli } from "../test/harness/murmur-cli";
import { startRotation, type TestRotation } from "../test/harness/rotation";

let cli: TestCli;
let catalog: TestCatalog;
let rotation: TestRotation;
let tenants = 0;
let tenantId: string;
let cwd: string;

beforeAll(async () => {
  cli = await buildTestCli();
  catalog = await startCatalog();
  rotation = await startRotation({ catalog });
});
afterAll(async () => {
  await rotation.stop();
  await catalog.stop();
  cli.remove();
});
/** A tenant of each test's own: two workspaces, an API key, and a call that was refused. */
beforeEach(async () => {
  tenantId = `t${(tenants += 1)}`;
  const token = await issueDeveloperToken(catalog.rotationKey, {
    ...{ tenantId, developer: "github/alice", role: "owner", ttlSeconds: 3600 },
  });
  cwd = cli.configured({ catalog: catalog.address, rotation: rotation.address, token });
  const owner = catalog.developer({ tenantId });
  const { workspaces } = catalog.clients(owner);
  for (const name of ["a", "b"])
    await workspaces.setWorkspace({ name, secretRefs: undefined, vms: [] });
  await rotation.clients(owner).credentials.createCredential(API_KEY);
});

const murmur = (...words: string[]) => cli.run(["audit", ...words], { cwd });
const json = async (...words: string[]) => {
  const { code, stdout, stderr } = await murmur(...words, "--json");
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout) as Record<string, unknown>[];
};
/** Until everything is sealed and signed, what verify says. */
const settled = (...words: string[]) =>
  eventually(async () => {
    const { stdout } = await murmur("verify", "--json", ...words);
    const { chains } = JSON.parse(stdout) as { chains: Chain[] };
    for (const { records, signed } of chains) expect(signed?.size).toBe(records);
    return chains;
  });
interface Chain {
  records: number;
  ok: boolean;
  signed?: { size: number };
}
const tamper = (statements: (tx: Tx) => Promise<unknown>) =>
  withTransaction(catalog.database.pool, async (tx) => {
    await tx.query("set local session_replication_role = replica");
    await statements(tx);
  });

describe("murmur audit ls", () => {
  it("lists what all services recorded, newest first", async () => {
    const { code, stdout } = await murmur("ls");
    expect(code).toBe(0);
    const [title, ...rows] = stdout.trimEnd().split("\n");
    expect(title).toMatch(/^TIME +SERVICE +# +ACTOR +ACTION +OBJECT +OUTCOME +FROM +DETAIL$/);
    expect(rows.map((row) => row.split(/ {2,}/).slice(1, 7).join("|"))).toEqual([
      expect.stringMatching(
        /^rotation\|[-2]\|github\/alice\|credential\.create\|api-key [0-9a-f-]{36}\|ok$/,
      ),
      expect.stringMatching(/^rotation\|[-1]\|github\/alice\|person\.introduce\|/),
      expect.stringMatching(/^catalog\|[-2]\|github\/alice\|workspace\.set\|workspace b\|ok$/),
      expect.stringMatching(/^catalog\|[-1]\|github\/alice\|workspace\.set\|workspace a\|ok$/),
    ]);
    expect(rows[3]).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ .* 127\.0\.0\.1 +revision=1$/);
  });

  it("prints all of it as one JSON document", async () => {
    await writeRecords(
      catalog.database.pool,
      tenantId,
      ...Array.from({ length: 2_500 }, (_, at) => `${at}`),
    );
    const records = await json("ls", "--service", "catalog");
    expect(records).toHaveLength(2_502);
    expect(records[0]).toMatchObject({
      ...{ service: "catalog", actor_kind: "developer", actor_id: "github/alice" },
      ...{ action: "secret.set", object_kind: "secret", object_id: "2499", outcome: "ok" },
      ...{ detail: { version: 1 }, peer: "127.0.0.1:1" },
    });
  });

  it("finds by time, actor, action, object and outcome", async () => {
    const found = async (...words: string[]) =>
      (await json("ls", ...words)).map((it) => String(it["action"]));
    expect(await found("--since", "1h", "--action", "workspace.")).toHaveLength(2);
    expect(await found("--until", "1h")).toEqual([]);
    expect(await found("--object", "b")).toEqual(["workspace.set"]);
    expect(await found("--actor", "github/bob")).toEqual([]);
    expect(await found("--refused")).toEqual([]);
    expect(await found("-n", "1")).toEqual(["credential.create"]);
  });

  it.each([
    [["--service", "gateway"], "--service must be one of catalog, rotation"],
    [["--since", "yesterday"], "--since must be a time such as"],
    [["--limit", "0"], "--limit must be at least 1"],
  ])("refuses %j, exit 2", async (words, message) => {
    const { code, stderr } = await murmur("ls", ...words);
    expect(code).toBe(2);
    expect(stderr).toContain(message);
  });
});

describe("murmur audit verify", () => {
  it("says of each service that nothing was touched, and up to where it is signed", async () => {
    expect(await settled()).toMatchObject([
      { service: "catalog", ok: true, records: 2, tenant: tenantId, faults: [] },
      { service: "rotation", ok: true, records: 2, unsealed: { count: 0 } },
    ]);
    const { code, stdout, stderr } = await murmur("verify");
    expect({ code, stdout, stderr }).toEqual({
      code: 0,
      stdout: expect.stringMatching(
        /^catalog: 2 records, unbroken; signed at #2, .*\nrotation: 2 records, unbroken; signed at #2, .*\n$/,
      ) as string,
      stderr: "The keys are the services' own word; --key-set FILE takes yours.\n",
    });
  });

  it("trusts the keys of a file alone, each for its own service", async () => {
    await settled();
    const file = join(cwd, "key-set.json");
    const write = (...keys: unknown[]) => {
      writeFileSync(file, JSON.stringify({ keys }));
    };
    const [own, other] = [publicJwkOf(catalog.catalogKey), publicJwkOf(catalog.rotationKey)];
    write(own, other);
    expect(await murmur("verify", "--key-set", file)).toMatchObject({ code: 0, stderr: "" });
    write({ ...own, iss: "murmur-rotation" }, other);
    const { stdout } = await murmur("verify", "--key-set", file);
    expect(stdout).toContain(`checkpoints by keys that are not known: ${catalog.catalogKey.kid}`);
    expect(stdout).toContain("not signed yet: the last 2 records");
  });

  it("names the record that was changed, exit 1", async () => {
    await settled();
    await tamper((tx) =>
      tx.query(
        "update catalog.audit set actor_id = 'github/bob' where tenant_id = $1 and object_id = 'a'",
        [tenantId],
      ),
    );
    const { code, stdout, stderr } = await murmur("verify");
    expect(code).toBe(1);
    expect(stdout).toMatch(
      /^catalog: 2 records, BROKEN in 1 place; signed at #2, .*\n {2}✗ record #1 was changed\nrotation: /,
    );
    expect(stderr).toContain("the audit of catalog is broken: record #1 was changed\n");
    const machine = await murmur("verify", "--service", "catalog", "--json");
    expect(machine.code).toBe(1);
    expect(JSON.parse(machine.stdout)).toMatchObject({
      ok: false,
      chains: [{ faults: [{ kind: "changed", sequence: 1 }] }],
    });
  });

  it("keeps checkpoints, and finds by them that all of a chain's end is gone", async () => {
    await settled();
    const file = join(cwd, "checkpoints.json");
    expect(await murmur("verify", "--checkpoints", file)).toMatchObject({ code: 0 });
    const kept = readFileSync(file, "utf8");
    expect(JSON.parse(kept)).toMatchObject([
      { service: "catalog", tenant: tenantId, size: "2" },
      { service: "rotation", tenant: tenantId, size: "2" },
    ]);
    await tamper(async (tx) => {
      for (const table of ["audit_checkpoints", "audit_chain", "audit"])
        await tx.query(`delete from catalog.${table} where tenant_id = $1`, [tenantId]);
    });
    expect(await murmur("verify")).toMatchObject({ code: 0 });
    const { code, stderr } = await murmur("verify", "--checkpoints", file);
    expect(code).toBe(1);
    expect(stderr).toContain(
      "the audit of catalog is broken: records #1 to #2 missing: the chain ends before what was signed\n",
    );
    expect(readFileSync(file, "utf8")).toBe(kept);
  });

  it("refuses a file that holds something else", async () => {
    const file = join(cwd, "other.json");
    writeFileSync(file, "{}");
    const { code, stderr } = await murmur("verify", "--checkpoints", file);
    expect(code).toBe(1);
    expect(stderr).toContain("does not hold checkpoints");
  });
});

it("murmur audit shows an operator the installation's own chain, and verifies it", async () => {
  const { tenants } = rotation.clients(catalog.developer({ tenantId }));
  await tenants.deleteTenant({ confirmTenant: tenantId, requestId: "r".repeat(22) });
  const who = { operator: "github/dana", ttlSeconds: 600 };
  const token = await issueOperatorToken(catalog.rotationKey, who);
  cwd = cli.configured({ catalog: catalog.address, rotation: rotation.address, token });
  const records = await json("ls", "--action", "tenant.");
  expect(records).toMatchObject([
    {
      ...{ service: "rotation", action: "tenant.delete", object_kind: "tenant" },
      ...{ object_id: tenantId, actor_id: "github/alice" },
    },
  ]);
  const chains = await settled("--service", "rotation");
  expect(chains.every(({ ok }) => ok)).toBe(true);
  const status = await cli.run(["auth", "status"], { cwd });
  expect(status.stdout).toMatch(/^operator: +github\/dana\nby: +identity token, expires .+\n/);
});
