import { startCatalog, type TestCatalog } from "../test/harness/catalog";
import { issueDeveloperToken } from "../lib/identity/claims";
import type { Role } from "../lib/identity/principal";
import { buildTestCli, type CliRun, type TestCli } from "../test/harness/murmur-cli";

let cli: TestCli;
let catalog: TestCatalog;
let cwd: string;

const as = async (role: Role) => {
  const who = { tenantId: "t1", developer: "github/olga", role, ttlSeconds: 3600 };
  const token = await issueDeveloperToken(catalog.rotationKey, who);
  return cli.configured({ rotation: catalog.address, catalog: catalog.address, token });
};

beforeAll(async () => {
  cli = await buildTestCli();
  catalog = await startCatalog();
  cwd = await as("owner");
  expect(await cli.run(["secret", "set", "A"], { cwd, input: "1" })).toMatchObject({ code: 0 });
});
afterAll(async () => {
  await catalog.stop();
  cli.remove();
});

const murmur = (words: string, where = cwd): Promise<CliRun> =>
  cli.run(words.split(" "), { cwd: where });

it("murmur encryption says how secrets are encrypted, and rotates the key behind", async () => {
  expect((await murmur("encryption show")).stdout).toBe(
    "key provider:  local\ndata keys:     1\nlast rotation: never\n",
  );
  expect(await murmur("encryption rotate")).toEqual({
    ...{ code: 0, stderr: "" },
    stdout: "Wrapped 1 data key under a newer key-encryption key\n",
  });
  expect((await murmur("encryption show")).stdout).toMatch(/^last rotation: .+ by github\/olga$/m);
  const tooSoon = await murmur("encryption rotate");
  expect(tooSoon).toMatchObject({ code: 1 });
  expect(tooSoon.stderr).toContain("a newer key-encryption key was made within the last hour");
  const { stdout } = await murmur("encryption rotate --rewrap-only --json");
  expect(JSON.parse(stdout)).toMatchObject({ number: 2, made_key: false, data_keys: 1 });
  const { stdout: json } = await murmur("encryption show --json");
  expect(JSON.parse(json)).toMatchObject({
    ...{ key_provider: "local", data_keys: 1, waiting_data_keys: 0 },
    last_rotation: { number: 2, requested_by: "github/olga" },
  });
});

it("murmur encryption rotate is for owners", async () => {
  const { code, stderr } = await murmur("encryption rotate", await as("admin"));
  expect(code).toBe(1);
  expect(stderr).toContain("PERMISSION_DENIED");
});
