import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { lstatSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { sensitive } from "../../lib/sensitive";
import { silentLog } from "../../lib/log";
import { type EnvFiles } from "../../services/vm-agent/env-set/env-files";
import { render } from "../../services/vm-agent/env-set/render";
import { readProcess } from "../../services/vm-agent/linux/proc";
import { liveNames } from "../../services/vm-agent/live-env/launch";
import { prepareLayers } from "../../services/vm-agent/live-env/layers";
import { findReceipt } from "../../services/vm-agent/live-env/receipts";
import { createTestRunDir, type TestRunDir } from "../harness/env-files";
import { eventually } from "../harness/eventually";

/** The whole of it: MURMUR_STORM_SECONDS=60 npx jest test/faults/storm.test.ts */
const SECONDS = Number(process.env["MURMUR_STORM_SECONDS"] ?? "4");
const PER_SECOND = 100;
const PROCESSES = 50;
const AGENT = "agent-1";
const OWNER = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
const PROGRAMS = join(__dirname, "storm-programs");
const KINDS = [
  ["bash", join(PROGRAMS, "program.sh")],
  [process.execPath, join(PROGRAMS, "program.cjs")],
  ["python3", join(PROGRAMS, "program.py")],
] as const;
const MAX_BYTES = 2 * 1024 * 1024;

interface Program {
  name: string;
  child: ChildProcess;
  /** All that it has said. */
  lines: string[];
}

let runDir: TestRunDir;
let files: EnvFiles;
let programs: Program[] = [];

beforeAll(() => {
  runDir = createTestRunDir();
  files = runDir.start();
});
afterAll(() => {
  for (const { child } of programs) child.kill("SIGKILL");
  runDir.remove();
});

function swapIn(generation: number): void {
  const value = (name: string, text: string) => ({
    ...{ name, value: sensitive(Buffer.from(text)), delivery: "environment" as const },
  });
  const variables = [value("SAME", "always"), value("TOKEN", `t-${generation}`)];
  const set = { agentId: AGENT, generation: BigInt(generation), variables, unset: [] };
  const directory = files.directoryOf(AGENT);
  const options = { directory, history: files.readHistory(AGENT) };
  files.swap(render({ ...set, fingerprint: `f${generation}` }, options), OWNER);
  files.prune(AGENT);
}

async function start(): Promise<void> {
  const searchPath = process.env["PATH"];
  const { base } = runDir;
  const layers = await prepareLayers({
    ...{ from: join(__dirname, "../../services/vm-agent/live-env"), runDir: base, searchPath },
    ...{ user: OWNER, log: silentLog },
  });
  expect(layers.works).toHaveLength(4);
  const env = {
    ...{ PATH: searchPath, ...liveNames({}, layers), MURMUR_DIR: files.directoryOf(AGENT) },
    ...{ MURMUR_GENERATION: "1", TOKEN: "t-1", SAME: "always" },
  };
  programs = Array.from({ length: PROCESSES }, (_, at) => {
    const [program, file] = KINDS[at % KINDS.length]!;
    const how = at % 2 === 0 ? "busy" : "idle";
    const child = spawn(program, [file, how], { env, stdio: ["pipe", "pipe", "pipe"] });
    const found: Program = { name: `${at} ${how} ${file.slice(-3)}`, child, lines: [] };
    for (const output of [child.stdout, child.stderr])
      output.setEncoding("utf8").on("data", (text: string) => {
        found.lines.push(...text.split("\n").filter(Boolean));
      });
    return found;
  });
  // Each speaks once unasked. Taken for an answer, that leaves the answer to the next question.
  await eventually(() => expect(programs.filter(({ lines }) => lines.length === 0)).toEqual([]), {
    timeoutMs: 30_000,
  });
}

/** What each has said since it was asked, once all have. */
async function ask(): Promise<string[]> {
  const before = programs.map(({ lines }) => lines.length);
  for (const { child } of programs) child.stdin?.write("say\n");
  return eventually(
    () => {
      const said = programs.map(({ lines }, at) => lines.slice(before[at]).join());
      for (const [at, text] of said.entries())
        expect([programs[at]!.name, text]).not.toEqual([programs[at]!.name, ""]);
      return said;
    },
    { timeoutMs: 30_000 },
  );
}

const descriptors = () =>
  programs.map(({ name, child }) => {
    const links = readdirSync(`/proc/${child.pid}/fd`).length;
    const open = readFileSync(`/proc/${child.pid}/maps`, "utf8");
    return { name, links, pages: open.split("\n").filter((line) => line.includes("/page")).length };
  });

function sizeOf(directory: string): { entries: number; bytes: number } {
  const paths = readdirSync(directory, { recursive: true, encoding: "utf8" });
  const bytes = paths.map((path) => lstatSync(join(directory, path)).size);
  return { entries: paths.length, bytes: bytes.reduce((sum, size) => sum + size, 0) };
}

test(
  `${SECONDS} s of ${PER_SECOND} swaps a second leave ${PROCESSES} processes whole and current`,
  async () => {
    swapIn(1);
    await start();
    await ask();
    // What one swap opens for good is open now.
    swapIn(2);
    expect(await ask()).toEqual(programs.map(() => "says 2 2"));
    const before = descriptors();

    let generation = 2;
    const startMs = performance.now();
    while (generation < 2 + SECONDS * PER_SECOND) {
      swapIn(++generation);
      const aheadMs = ((generation - 2) * 1000) / PER_SECOND - (performance.now() - startMs);
      if (aheadMs > 0) await delay(aheadMs);
    }

    expect(await ask()).toEqual(programs.map(() => `says ${generation} ${generation}`));
    expect(descriptors()).toEqual(before);
    const receipts = files.readReceipts(AGENT)!;
    for (const { name, child } of programs) {
      const receipt = findReceipt(receipts, readProcess(child.pid!)!);
      expect([name, receipt?.generation]).toEqual([name, BigInt(generation)]);
    }
    const size = sizeOf(files.directoryOf(AGENT));
    expect(size.entries).toBeLessThan(60);
    expect(size.bytes).toBeLessThan(MAX_BYTES);

    for (const { child } of programs) child.stdin?.end();
    await Promise.all(
      programs.map(async ({ child }) => {
        if (child.exitCode === null) await once(child, "close");
        expect(child.exitCode).toBe(0);
      }),
    );
    const others = programs.flatMap(({ lines }) =>
      lines.filter((line) => !line.startsWith("says")),
    );
    expect(others).toEqual([]);
  },
  60_000 + SECONDS * 3_000,
);
