import { HeldScope } from "../gen/murmur/rotation/v1/agents";
import { type FakeRotation, fakeAgent, startFakeRotation } from "../test/fakes/fake-rotation";
import { buildTestCli, type CliRun, type TestCli } from "../test/harness/murmur-cli";

const { HELD_SCOPE_TENANT: TENANT, HELD_SCOPE_UNSPECIFIED: UNTOLD } = HeldScope;

let cli: TestCli;
let rotation: FakeRotation;
let cwd: string;

beforeAll(async () => {
  cli = await buildTestCli();
});
afterAll(() => {
  cli.remove();
});
beforeEach(async () => {
  rotation = await startFakeRotation();
  const config = { rotation: rotation.address, token: await rotation.token() };
  cwd = cli.configured({ ...config, workspace: "backend" });
  rotation.holders = [
    {
      agent: fakeAgent({ path: "fix-auth" }),
      files: { generation: 3n, version: 2n, scope: TENANT },
      coming: [],
      processes: [
        { pid: 41, name: "node", held: { generation: 2n, version: 1n, scope: TENANT } },
        { pid: 42, name: "java", held: { generation: 0n, version: 0n, scope: UNTOLD } },
      ],
    },
    {
      agent: fakeAgent({ path: "web", workspace: "frontend", vmName: "build-2" }),
      files: undefined,
      coming: [{ generation: 1n, version: 2n, scope: TENANT }],
      processes: [],
    },
  ];
});
afterEach(() => rotation.stop());

const murmur = (words: string): Promise<CliRun> => cli.run(words.split(" "), { cwd });

describe("murmur holds", () => {
  it("lists every agent, VM and process that has the secret, in all workspaces", async () => {
    const { code, stdout, stderr } = await murmur("holds --secret API_KEY");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout.split("\n")).toEqual([
      "WORKSPACE  AGENT     VM       WHERE       GENERATION  VERSION",
      "backend    fix-auth  build-1  files       3           2",
      "backend    fix-auth  build-1  41 node     2           1",
      "backend    fix-auth  build-1  42 java     ?           cannot be told",
      "frontend   web       build-2  on its way  1           2",
      "",
    ]);
    expect(rotation.requests.holders[0]).toMatchObject({
      ...{ secretName: "API_KEY", version: 0n, workspace: "" },
    });
  });

  it("asks for one version and one workspace, and shows the same as JSON", async () => {
    const { stdout } = await murmur("holds --secret API_KEY@2 --workspace backend --json");
    expect(rotation.requests.holders[0]).toMatchObject({
      ...{ secretName: "API_KEY", version: 2n, workspace: "backend" },
    });
    expect(JSON.parse(stdout)).toMatchObject([
      {
        ...{ path: "fix-auth", workspace: "backend", vm: "build-1", coming: [] },
        files: { generation: 3, version: 2, scope: "tenant" },
        processes: [
          { pid: 41, name: "node", generation: 2, version: 1 },
          { pid: 42, name: "java", generation: null, version: null, scope: null },
        ],
      },
      { path: "web", files: null, coming: [{ generation: 1, version: 2 }] },
    ]);
  });

  it("says so when nobody has it, and prints nothing else", async () => {
    rotation.holders = [];
    expect(await murmur("holds --secret API_KEY@7")).toEqual({
      ...{ code: 0, stdout: "", stderr: "no living agent has API_KEY@7\n" },
    });
  });

  it.each([
    ["holds", "name a secret: --secret NAME or --secret NAME@VERSION"],
    ["holds --secret A@x", "--secret must be NAME or NAME@VERSION, with a version from 1 upward"],
    ["holds --secret A@0", "--secret must be NAME or NAME@VERSION, with a version from 1 upward"],
    ["holds --secret A@1@2", "--secret must be NAME or NAME@VERSION, with a version from 1 upward"],
  ])("refuses %p as wrong usage", async (words, message) => {
    expect(await murmur(words)).toMatchObject({
      ...{ code: 2, stdout: "", stderr: `murmur: holds: ${message}\nTry murmur --help.\n` },
    });
  });
});
