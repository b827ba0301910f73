import { HeldScope } from "../gen/murmur/rotation/v1/agents";
import { issueDeveloperToken } from "../lib/identity/claims";
import { type FakeRotation, fakeAgent, startFakeRotation } from "../test/fakes/fake-rotation";
import { startCatalog, type TestCatalog } from "../test/harness/catalog";
import { createCatalogTenant, type CatalogTenant } from "../test/harness/catalog-tenant";
import { buildTestCli, type CliCall, type CliRun, type TestCli } from "../test/harness/murmur-cli";

let cli: TestCli;
let catalog: TestCatalog;
let acme: CatalogTenant;
let rotation: FakeRotation;
let cwd: string;

beforeAll(async () => {
  cli = await buildTestCli();
  catalog = await startCatalog();
});
afterAll(async () => {
  await catalog.stop();
  cli.remove();
});
beforeEach(async () => {
  acme = await createCatalogTenant(catalog);
  rotation = await startFakeRotation(catalog.rotationKey);
  rotation.isPrompt = true;
  cwd = cli.configured({
    ...{ catalog: catalog.address, rotation: rotation.address, workspace: "backend" },
    token: await issueDeveloperToken(catalog.rotationKey, {
      ...{ tenantId: acme.id, developer: "github/alice", role: "owner", ttlSeconds: 3600 },
    }),
  });
  await acme.set("KEY", "1");
});
afterEach(() => rotation.stop());

const murmur = (words: string, call: CliCall = {}): Promise<CliRun> =>
  cli.run(words.split(" "), { cwd, ...call });
const ok = (stdout: string) => ({ code: 0, stdout, stderr: "" });
/** An agent with the secret in its newest generation. */
async function holder(path = "fix-auth"): Promise<string> {
  const agent = acme.agent({ path });
  await acme.snapshot(agent);
  rotation.agents.push(fakeAgent({ path, agentId: agent.agentId }));
  return agent.agentId;
}
const selections = () => rotation.requests.rekeyMany.map(({ selection }) => selection);
const holders = (...agentIds: string[]) => ({
  workspace: "",
  which: { $case: "holders", value: { secretName: "KEY", agentIds: agentIds.sort() } },
});

/** What VMs say of an agent whose newest set is free of the secret. */
function stillOnVm(scope = HeldScope.HELD_SCOPE_TENANT): string {
  const agent = fakeAgent({});
  const files = { generation: 1n, version: 1n, scope };
  rotation.agents.push(agent);
  rotation.holders.push({ agent, files, coming: [], processes: [] });
  return agent.agentId;
}

describe("murmur secret revoke", () => {
  it("deletes the secret and rekeys those who hold it, as one rollout that says why", async () => {
    const ids = [await holder("one"), await holder("two")];
    expect(await murmur("secret revoke KEY --now")).toEqual(ok('Revoked secret "KEY"\n'));
    expect(await murmur("secret ls")).toEqual(ok(""));
    expect(selections()).toEqual([holders(...ids)]);
    expect(rotation.requests.rekeyMany[0]).toMatchObject({ reason: "secret KEY was revoked" });
  });

  it("asks nobody when nobody holds it", async () => {
    expect(await murmur("secret revoke KEY --now")).toEqual(ok('Revoked secret "KEY"\n'));
    const again = await murmur("secret revoke --json --reason leaked KEY --now");
    expect(JSON.parse(again.stdout)).toEqual({ secret: "KEY", targets: [] });
    expect(selections()).toEqual([]);
  });

  it("is done when its holders have ended meanwhile", async () => {
    await holder();
    rotation.agents.length = 0;
    expect(await murmur("secret revoke KEY --now")).toEqual(ok('Revoked secret "KEY"\n'));
  });

  it("names who has not acked, and goes on with them when it is given again", async () => {
    const id = await holder();
    rotation.isPrompt = false;
    const { code, stdout, stderr } = await murmur("secret revoke --timeout 6s KEY --now");
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain("murmur: secret revoke KEY: 1 of 1 agents has not acked within 6s\n");
    rotation.isPrompt = true;
    expect(await murmur("secret revoke KEY --now")).toEqual(ok('Revoked secret "KEY"\n'));
    expect(selections()).toEqual([holders(id), holders(id)]);
  });

  it("is not done while a VM has files with it that the catalog counts no more", async () => {
    const id = stillOnVm();
    rotation.isPrompt = false;
    const late = await murmur("secret revoke --timeout 6s KEY --now");
    expect({ code: late.code, stdout: late.stdout }).toEqual({ code: 1, stdout: "" });
    expect(late.stderr).toContain("1 of 1 agents has not acked within 6s\n");
    expect(selections()).toEqual([holders(id)]);
    expect(rotation.requests.holders[0]).toMatchObject({ secretName: "KEY", version: 0n });
  });

  it("leaves those alone who hold another scope's secret of that name", async () => {
    stillOnVm(HeldScope.HELD_SCOPE_DEVELOPER);
    expect(await murmur("secret revoke KEY --now")).toEqual(ok('Revoked secret "KEY"\n'));
    expect(selections()).toEqual([]);
  });

  it("says that it is done when nobody can tell who holds it still", async () => {
    await rotation.stop();
    const { code, stderr } = await murmur("secret revoke KEY --now");
    await rotation.start();
    expect(code).toBe(1);
    expect(stderr).toContain(
      "That is done, but whether an agent still holds it is not known: give the command again to see.\n",
    );
  });

  it("says what is done and what is not when rotation refuses", async () => {
    await holder();
    const token = await issueDeveloperToken(catalog.rotationKey, {
      ...{ tenantId: acme.id, developer: "github/alice", role: "owner", ttlSeconds: 3600 },
    });
    const elsewhere = { catalog: catalog.address, rotation: catalog.address, token };
    const { code, stderr } = await murmur("secret revoke KEY --now", {
      cwd: cli.configured(elsewhere),
    });
    expect(code).toBe(1);
    expect(stderr).toContain("murmur: secret revoke KEY: UNIMPLEMENTED");
    expect(stderr).toContain(
      "That is done, but 1 agent still holds it: give the command again to unset it there.\n",
    );
    expect(await murmur("secret ls")).toEqual(ok(""));
  });

  it("does nothing without --now, nor to a name that is reserved or not there", async () => {
    expect(await murmur("secret revoke KEY")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("confirm with --now\n") as string,
    });
    expect(await murmur("secret revoke GH_TOKEN --now")).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("Reserved secrets cannot be deleted.\n") as string,
    });
    expect(await murmur("secret revoke NONE --now")).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('NOT_FOUND: secret "NONE" not found\n') as string,
    });
    expect(await murmur("secret ls")).toEqual(ok("KEY\n"));
  });
});

describe("murmur secret destroy", () => {
  it("destroys a version that nobody has, and shows it in the history", async () => {
    await acme.set("KEY", "2");
    expect(await murmur("secret destroy KEY@1")).toEqual(
      ok('Destroyed version 1 of secret "KEY"\n'),
    );
    expect((await murmur("secret history KEY")).stdout).toMatch(/^1 .* destroyed$/m);
    expect(selections()).toEqual([]);
  });

  it("refuses one that is in use, says how to see by whom, and rekeys them when forced", async () => {
    const id = await holder();
    const { code, stderr } = await murmur("secret destroy KEY@1");
    expect(code).toBe(1);
    expect(stderr).toContain(
      'FAILED_PRECONDITION: version 1 of secret "KEY" is in use: it is the current one, and 1 agent holds it\n' +
        "Use murmur holds --secret NAME@VERSION to see who has it.",
    );
    expect(selections()).toEqual([]);
    expect(await murmur("secret destroy --force KEY@1")).toEqual(
      ok('Destroyed version 1 of secret "KEY"\n'),
    );
    expect(selections()).toEqual([holders(id)]);
    expect(rotation.requests.rekeyMany[0]).toMatchObject({
      reason: "version 1 of secret KEY was destroyed",
    });
    expect(await murmur("secret ls")).toEqual(ok(""));
  });

  it("is not done, however often it is given, while a VM has files with that version", async () => {
    await acme.set("KEY", "2");
    const id = stillOnVm();
    rotation.isPrompt = false;
    for (let time = 1; time <= 2; time++) {
      const { code, stderr } = await murmur("secret destroy --force --timeout 6s KEY@1");
      expect(code).toBe(1);
      expect(stderr).toContain("1 of 1 agents has not acked within 6s\n");
    }
    expect(selections()).toEqual([holders(id), holders(id)]);
    expect(rotation.requests.holders[0]).toMatchObject({ secretName: "KEY", version: 1n });
    rotation.holders.length = 0;
    expect(await murmur("secret destroy --force KEY@1")).toEqual(
      ok('Destroyed version 1 of secret "KEY"\n'),
    );
  });

  it.each(["KEY", "KEY@", "KEY@0", "KEY@x", "@1", "KEY@1@2"])(
    "refuses %s as usage",
    async (text) => {
      expect(await murmur(`secret destroy ${text}`)).toMatchObject({
        code: 2,
        stderr: expect.stringContaining("the version must be NAME@VERSION\n") as string,
      });
    },
  );

  it("says that there is no such version", async () => {
    const { code, stderr } = await murmur("secret destroy KEY@7");
    expect(code).toBe(1);
    expect(stderr).toContain("NOT_FOUND");
    expect(stderr).toContain("Use murmur secret history to see the versions.\n");
  });
});
