import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { findTool } from "../../dev/parts/tools";
import {
  agentOwner,
  createTestRunDir,
  expectedSet,
  seenSet,
  strayNames,
} from "../harness/env-files";
import { eventually } from "../harness/eventually";
import { type ChildProgram, compileChild } from "./child-program";
import { EXAMPLE_AGENT, exampleSet } from "./example-set";

/** The calls that change what others see; a kill before any other looks like one of these. */
const CHANGING = "mkdir,openat,write,fchown,fchmod,symlink,rename,unlink,rmdir";
const TIMEOUT_MS = 30_000;
/** Node wakes itself with a write of its own now and then, which shifts the count of that run. */
const ATTEMPTS = 4;

let strace: string;
let program: ChildProgram;

beforeAll(async () => {
  strace = await findTool("strace");
  program = compileChild("swap-child.ts");
}, 300_000);

afterAll(() => {
  program.remove();
});

/** What the child has swapped before it is killed in the next swap. */
test.each([
  ["the first swap", []],
  ["a swap after another", [1n]],
])(
  "SIGKILL before any system call of %s leaves a whole set, and the next start converges",
  async (_, earlier) => {
    const calls = await callsOfSwap(earlier);
    expect(calls.length).toBeGreaterThan(15);
    for (const call of calls) {
      // Each count of calls is from the moment of attaching, so each kill must hit its call.
      let isKilled = false;
      for (let attempt = 0; attempt < ATTEMPTS && !isKilled; attempt++) {
        const run = await traceSwap(earlier, call);
        isKilled = !run.isOver;
        expect({ call, outcome: run.outcome }).toEqual({ call, outcome: "whole" });
      }
      expect({ call, isKilled }).toEqual({ call, isKilled: true });
    }
  },
  360_000,
);

/** The nth call of this name since the tracer attached. */
interface Call {
  name: string;
  nth: number;
}

interface Run {
  calls: Call[];
  /** The swap was not killed. */
  isOver: boolean;
  outcome: string;
}

/** Those of a swap that nothing else came into. */
async function callsOfSwap(earlier: readonly bigint[]): Promise<Call[]> {
  const runs: Run[] = [];
  for (let attempt = 0; attempt < ATTEMPTS; attempt++)
    runs.push(await traceSwap(earlier, undefined));
  expect(runs.filter(({ isOver }) => !isOver)).toEqual([]);
  return runs.map(({ calls }) => calls).sort((a, b) => a.length - b.length)[0]!;
}

async function traceSwap(earlier: readonly bigint[], killAt: Call | undefined): Promise<Run> {
  const runDir = createTestRunDir();
  const log = join(runDir.base, "trace");
  const { uid, gid } = agentOwner;
  const args = [program.path, runDir.agentsDirectory, String(uid), String(gid)];
  const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] });
  try {
    await said(child, "ready");
    for (const generation of earlier) {
      child.stdin.write(`${generation}\n`);
      await said(child, "swapped");
    }
    const inject = killAt ? ["-e", `inject=${killAt.name}:signal=KILL:when=${killAt.nth}`] : [];
    const filter = ["-e", `trace=access,${CHANGING}`, ...inject];
    const tracer = spawn(strace, ["-o", log, ...filter, "-p", String(child.pid)], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    await said(tracer, "attached", tracer.stderr);
    const next = (earlier.at(-1) ?? 0n) + 1n;
    child.stdin.write(`${next}\n`);
    const end = once(child, "exit");
    if (!killAt) await said(child, "swapped");
    child.stdin.end();
    await end;
    if (tracer.exitCode === null) await once(tracer, "exit");
    const lines = readFileSync(log, "utf8").split("\n");
    return {
      calls: callsOf(lines),
      isOver: lines.some((line) => line.includes("/end-of-swap")),
      outcome: outcomeOf(runDir, earlier.at(-1), next),
    };
  } finally {
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
    runDir.remove();
  }
}

/** The calls between the two marks, each with its number among those of its name. */
function callsOf(lines: readonly string[]): Call[] {
  const begin = lines.findIndex((line) => line.includes("/begin-of-swap"));
  const end = lines.findIndex((line) => line.includes("/end-of-swap"));
  const counts = new Map<string, number>();
  return lines.slice(0, end).flatMap((line, at) => {
    const name = /^(\w+)\(/.exec(line)?.[1] ?? "";
    const nth = (counts.get(name) ?? 0) + 1;
    counts.set(name, nth);
    return at > begin && name !== "" ? [{ name, nth }] : [];
  });
}

/** Looks as a reader would, then starts again over what was left. */
function outcomeOf(
  runDir: ReturnType<typeof createTestRunDir>,
  before: bigint | undefined,
  next: bigint,
): string {
  const directory = join(runDir.agentsDirectory, EXAMPLE_AGENT);
  const seen = JSON.stringify(sorted(seenSet(directory)));
  const old = before === undefined ? undefined : expectedSet(exampleSet(before));
  const whole = [old, expectedSet(exampleSet(next))];
  if (!whole.some((set) => JSON.stringify(sorted(set)) === seen)) return `not whole: ${seen}`;
  const daemon = runDir.start();
  const { failures } = daemon.sweep(new Set([EXAMPLE_AGENT]));
  daemon.swap(exampleSet(next), agentOwner);
  const verdict = daemon.verify(EXAMPLE_AGENT, agentOwner, exampleSet(next));
  const stray = strayNames(directory);
  const isClean = failures.length === 0 && stray.length === 0 && verdict.state === "whole";
  return isClean ? "whole" : JSON.stringify({ failures, stray, verdict });
}

function sorted(set: ReturnType<typeof seenSet>): unknown {
  return set && [...set].sort(([a], [b]) => (a < b ? -1 : 1));
}

async function said(child: ChildProcess, word: string, stream = child.stdout): Promise<void> {
  let text = "";
  const take = (chunk: Buffer): void => {
    text += chunk.toString();
  };
  stream?.on("data", take);
  await eventually(
    () => {
      expect(text).toContain(word);
    },
    { timeoutMs: TIMEOUT_MS, everyMs: 2 },
  );
  stream?.off("data", take);
}
