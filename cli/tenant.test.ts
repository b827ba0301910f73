import { startCatalog, type TestCatalog } from "../test/harness/catalog";
import { issueDeveloperToken } from "../lib/identity/claims";
import type { Role } from "../lib/identity/principal";
import { buildTestCli, type TestCli } from "../test/harness/murmur-cli";
import { startRotation, type TestRotation } from "../test/harness/rotation";

let cli: TestCli;
let catalog: TestCatalog;
let rotation: TestRotation;

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

const as = async (role: Role, tenantId: string) => {
  const who = { tenantId, developer: `github/${role}`, role, ttlSeconds: 3600 };
  const token = await issueDeveloperToken(catalog.rotationKey, who);
  return cli.configured({ rotation: rotation.address, catalog: catalog.address, token });
};
const murmur = (words: string, cwd: string) => cli.run(words.split(" "), { cwd });

it("murmur tenant delete deletes the tenant whose name was given, and says how to ask for it", async () => {
  const cwd = await as("owner", "acme");
  const unnamed = await murmur("tenant delete", cwd);
  expect(unnamed).toMatchObject({ code: 2, stdout: "" });
  expect(unnamed.stderr).toContain("--confirm is required");
  const another = await murmur("tenant delete --confirm acm", cwd);
  expect(another).toMatchObject({ code: 1, stdout: "" });
  expect(another.stderr).toContain('nothing was deleted: your tenant is "acme", not "acm"');
  const done = await murmur("tenant delete --confirm acme", cwd);
  expect(done).toMatchObject({ code: 0, stdout: 'Deleted tenant "acme"\n' });
  const id = /murmur tenant deletion (\S+)/.exec(done.stderr)?.[1] ?? "";
  expect((await murmur("people ls", cwd)).stderr).toContain("UNAUTHENTICATED");
  expect((await murmur(`tenant deletion ${id}`, cwd)).stdout).toMatch(
    /^tenant: {7}acme\nstate: {8}no credential counts any more; agents are being ended\nasked for: {4}just now by github\/owner\nremoved from: in .+\n$/,
  );
  await rotation.pool.query(`update rotation.tenant_deletions set purge_after = clock_timestamp()`);
  for (let stage = ""; stage !== "done";) {
    const { stdout } = await murmur(`tenant deletion ${id} --json`, cwd);
    ({ stage } = JSON.parse(stdout) as { stage: string });
  }
  expect((await murmur(`tenant deletion ${id}`, cwd)).stdout).toContain("nothing is left");
  const unknown = await murmur("tenant deletion 0f5f39e4-4f4b-4b70-9a4c-7a2d6f0c5d1e", cwd);
  expect(unknown).toMatchObject({ code: 1 });
  expect(unknown.stderr).toContain("NOT_FOUND");
});

it("murmur tenant delete has the name typed on a terminal", async () => {
  const cwd = await as("owner", "globex");
  const other = await cli.runOnTerminal(["tenant", "delete"], { cwd, input: "glob\n" });
  expect(other.code).toBe(1);
  expect(other.stdout).toContain('This deletes tenant "globex"');
  const typed = await cli.runOnTerminal(["tenant", "delete"], { cwd, input: "globex\n" });
  expect(typed.stdout).toContain('Deleted tenant "globex"');
  expect(typed.code).toBe(0);
});

it("murmur tenant delete is for owners", async () => {
  const { code, stderr } = await murmur("tenant delete --confirm t1", await as("admin", "t1"));
  expect(code).toBe(1);
  expect(stderr).toContain("PERMISSION_DENIED");
});
