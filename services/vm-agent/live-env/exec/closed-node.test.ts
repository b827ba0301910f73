import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { liveNames } from "../launch";
import { LAYERS } from "../receipts";
import { createTestDirectory, type TestDirectory } from "../test-directory";
import { installForTest } from "./exec-program";

const layers = installForTest();
const home = mkdtempSync(join(tmpdir(), "murmur-closed-"));
const script = join(home, "program.cjs");
const policy = join(home, "policy.json");
const PERMISSION = process.allowedNodeEnvironmentFlags.has("--permission")
  ? "--permission"
  : "--experimental-permission";
let directory: TestDirectory;

beforeAll(() => {
  writeFileSync(script, "console.log(process.env.TOKEN); process.exitCode = 3;");
  writeFileSync(policy, JSON.stringify({ resources: { "./program.cjs": { integrity: true } } }));
});
beforeEach(() => {
  directory = createTestDirectory([
    { generation: 1, set: { TOKEN: "old" } },
    { generation: 2, set: { TOKEN: "new" } },
  ]);
});
afterEach(() => directory.remove());
afterAll(() => {
  layers.remove();
  rmSync(home, { recursive: true });
});

/** Runs a Node in an agent; what of it says that the Node layer was there. */
function run(words: string[], own: Record<string, string> = {}) {
  const env = {
    PATH: `${dirname(process.execPath)}:/usr/bin:/bin`,
    ...{ ...own, NODE_NO_WARNINGS: "1" },
    ...liveNames(own, { directory: layers.path, works: LAYERS }),
    ...{ MURMUR_DIR: directory.path, MURMUR_GENERATION: "1", TOKEN: "old" },
  };
  const { pid, status, stdout, stderr } = spawnSync(process.execPath, words, {
    ...{ env, encoding: "utf8", timeout: 20_000 },
  });
  const { layer } = directory.receiptOf(pid) ?? {};
  return { status, stdout, stderr, layer: layer === undefined ? undefined : LAYERS[layer - 1] };
}
const GOOD = { status: 3, stdout: "new\n", stderr: "" };

describe("a Node that may not read our preload runs as outside an agent", () => {
  const allowed = `--allow-fs-read=${home}/*`;
  it.each<[string, string[], Record<string, string>]>([
    ["by its command line", [PERMISSION, allowed, script], {}],
    ["by a later word of it", ["--no-warnings", "--title", "me", PERMISSION, allowed, script], {}],
    ["by NODE_OPTIONS", [allowed, script], { NODE_OPTIONS: `--no-warnings ${PERMISSION}` }],
    ["by a policy", ["--experimental-policy", policy, script], {}],
  ])("%s", (_, words, own) => {
    const isKnown = spawnSync(process.execPath, words, {
      env: { NODE_NO_WARNINGS: "1", ...own },
    });
    // A Node of another version may lack a way; whatever it does outside, it does inside.
    const expected = isKnown.status === 3 ? { ...GOOD, layer: "exec" } : { status: isKnown.status };
    expect(run(words, own)).toMatchObject(expected);
  });
});

describe("a Node that may, follows", () => {
  it.each<[string, string[]]>([
    ["all files", [PERMISSION, "--allow-fs-read=*", script]],
    [
      "our files",
      [
        ...[PERMISSION, `--allow-fs-read=${home}/*`],
        ...[`--allow-fs-read=${layers.path}/*`, script],
      ],
    ],
    ["without such an option, whatever its script's words are", [script, PERMISSION]],
  ])("%s", (_, words) => {
    const { layer, ...seen } = run(words);
    expect(seen).toEqual(GOOD);
    // Without the right to write, there is no receipt.
    expect(layer).toBe(words[0] === script ? "node" : "exec");
  });
});
