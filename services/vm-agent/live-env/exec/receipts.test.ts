import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readProcess } from "../../linux/proc";
import { liveNames } from "../launch";
import { findReceipt, LAYERS, type LayerName, type Receipt } from "../receipts";
import { createTestDirectory, type TestDirectory } from "../test-directory";
import { installForTest } from "./exec-program";

const scratch = mkdtempSync(join(tmpdir(), "murmur-exec-"));
const statically = join(scratch, "static");
const layers = installForTest();
let directory: TestDirectory;

beforeAll(() => {
  const built = spawnSync("gcc", ["-static", "-o", statically, join(__dirname, "wait.c")]);
  expect(built.stderr.toString()).toBe("");
});
beforeEach(() => {
  directory = createTestDirectory([{ generation: 1, set: { TOKEN: "old" } }]);
});
afterEach(() => directory.remove());
afterAll(() => {
  layers.remove();
  rmSync(scratch, { recursive: true });
});

/** Says what it is, waits for a line, and becomes the program that it is told. */
const PROGRAMS: Record<Exclude<LayerName, "node">, [string, ...string[]]> = {
  exec: ["sh", "-c", 'echo it; read -r _; exec "$@"', "sh"],
  bash: ["bash", "-c", 'echo it; read -r _; exec "$@"', "bash"],
  python: [
    "python3",
    "-c",
    // Past the audit hook, by which the layer takes its receipt back.
    "import ctypes,os,sys; print('it', flush=True); sys.stdin.readline(); a = [x.encode() for x in sys.argv[1:]]; ctypes.CDLL(None).execv(a[0], (ctypes.c_char_p * (len(a) + 1))(*a, None))",
  ],
};

function receiptOf(pid: number): Receipt | undefined {
  const file = readFileSync(join(directory.path, "receipts"));
  return findReceipt(file, readProcess(pid)!);
}

describe.each(Object.entries(PROGRAMS))("of the %s layer, a receipt", (layer, command) => {
  async function become(...words: string[]): Promise<[Receipt | undefined, Receipt | undefined]> {
    const env = {
      PATH: process.env["PATH"],
      ...liveNames({}, { directory: layers.path, works: LAYERS }),
      ...{ MURMUR_DIR: directory.path, MURMUR_GENERATION: "1", TOKEN: "old", SHLVL: "1" },
    };
    const [program, ...args] = command;
    const child = spawn(program, [...args, ...words], { env, stdio: ["pipe", "pipe", "inherit"] });
    try {
      await once(child.stdout, "data");
      const before = receiptOf(child.pid!);
      child.stdin.write("\n");
      await once(child.stdout, "data");
      return [before, receiptOf(child.pid!)];
    } finally {
      child.kill("SIGKILL");
    }
  }

  it("is none of the static program that its process became", async () => {
    const [before, after] = await become(statically);
    expect(before).toMatchObject({ layer, generation: 1n });
    expect(after).toBeUndefined();
  });

  it("is none of a program that is kept from us, even of the same file", async () => {
    const script = "echo same; sleep 1000";
    const [before, after] = await become("/usr/bin/env", "-i", "/bin/bash", "--norc", "-c", script);
    expect(before).toMatchObject({ layer });
    expect(after).toBeUndefined();
  });

  it("is written anew by the dynamic program that its process became", async () => {
    const [, after] = await become("/usr/bin/perl", "-e", '$| = 1; print "perl"; sleep 1000');
    expect(after).toMatchObject({ layer: "exec", generation: 1n });
  });
});
