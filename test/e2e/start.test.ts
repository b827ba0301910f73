import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../../dev/parts/free-port";
import type { StackFile } from "../../dev/stack/stack-file";
import { eventually } from "../harness/eventually";

const ROOT = join(__dirname, "..", "..");

interface Run {
  child: ChildProcess;
  output: () => string;
  exited: Promise<number | null>;
}

/** `npm start -- ARGS`, as its script runs it. */
function start(...args: string[]): Run {
  const child = spawn(process.execPath, [join(ROOT, "dev/run.mjs"), "start", ...args], {
    cwd: tmpdir(),
  });
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => (text += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (text += chunk.toString()));
  return {
    child,
    output: () => text,
    exited: new Promise((resolve) =>
      child.once("close", (code) => {
        resolve(code);
      }),
    ),
  };
}

describe("npm start", () => {
  const dataDir = mkdtempSync(join(tmpdir(), "murmur-start-"));
  const stackFile = () =>
    JSON.parse(readFileSync(join(dataDir, "stack.json"), "utf8")) as StackFile;
  let port: number;
  let first: Run;

  beforeAll(async () => {
    port = await freePort(2);
    first = start("--data", dataDir, "--ports", String(port));
    await eventually(
      () => {
        expect(first.output()).toContain("Ctrl-C stops everything");
      },
      { timeoutMs: 90_000 },
    );
  }, 360_000);
  afterAll(async () => {
    first.child.kill("SIGKILL");
    await first.exited;
    rmSync(dataDir, { recursive: true, force: true });
  });

  it("shows a rekey that reached every process, and says for programs where everything is", () => {
    expect(first.output()).toMatch(
      /^(\d) of \1 processes of 2 agents use the new value;\n\1 of them read no file/m,
    );
    expect(first.output()).toContain("\n0 were restarted; 0 of ");
    expect(stackFile()).toMatchObject({
      ready: true,
      gateway: `127.0.0.1:${port}`,
      catalog: `127.0.0.1:${port + 1}`,
      rotation: `127.0.0.1:${port + 2}`,
      config: join(dataDir, "murmur.local.yaml"),
    });
  });

  it("is refused a second time on the same data, which stays as it is, --fresh or not", async () => {
    const before = stackFile();
    for (const more of [[], ["--fresh"]]) {
      const second = start("--data", dataDir, "--ports", String(port + 10), ...more);
      expect(await second.exited).toBe(2);
      expect(second.output()).toContain(
        `a stack (pid ${first.child.pid}) runs on ${dataDir} already`,
      );
    }
    expect(stackFile()).toEqual(before);
    expect(existsSync(before.vms[0]?.socket ?? "")).toBe(true);
  }, 360_000);

  it("names a port that somebody else has", async () => {
    const other = mkdtempSync(join(tmpdir(), "murmur-start-"));
    try {
      const second = start("--data", other, "--ports", String(port));
      expect(await second.exited).toBe(2);
      expect(second.output()).toContain(`port ${port} is in use`);
    } finally {
      rmSync(other, { recursive: true, force: true });
    }
  }, 360_000);

  it("leaves no process, socket, env file or stack.json behind after Ctrl-C", async () => {
    const { vms } = stackFile();
    const runDir = vms[0]?.run_dir ?? "";
    expect(existsSync(runDir)).toBe(true);
    first.child.kill("SIGINT");
    expect(await first.exited).toBe(0);
    expect(existsSync(runDir)).toBe(false);
    expect(existsSync(join(dataDir, "stack.json"))).toBe(false);
    // Those that it had to kill take a moment to go.
    await eventually(() => {
      const left = readdirSync("/proc").filter(
        (pid) => /^\d+$/.test(pid) && mentions(pid, [dataDir, runDir]),
      );
      expect(left).toEqual([]);
    });
  }, 360_000);
});

function mentions(pid: string, texts: string[]): boolean {
  try {
    const own =
      readFileSync(`/proc/${pid}/cmdline`, "latin1") +
      readFileSync(`/proc/${pid}/environ`, "latin1");
    return texts.some((text) => own.includes(text));
  } catch {
    return false; // Gone meanwhile.
  }
}
