import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import type { LayerName } from "../../services/vm-agent/live-env/receipts";
import { percentile } from "../harness";
import type { BenchAgent } from "./bench-agent";

/** Something measured with a layer and without. */
export interface Pair {
  with: number;
  without: number;
}

const IDLE_MS = 3_000;
/** With and without by turns. */
const ROUNDS = 40;

/** Starts per round: enough for a round of some tenths of a second. */
const STARTS: Record<LayerName, number> = { exec: 100, bash: 50, node: 10, python: 10 };

interface Program {
  /** What is started, and does nothing. */
  start: [string, ...string[]];
  /** What reads its environment, says so and waits. */
  idle: [string, ...string[]];
}

function program(layer: LayerName, { python, nothing }: BenchAgent): Program {
  const node = process.execPath;
  const reading = {
    bash: "echo $TOKEN; read -r line",
    node: "console.log(process.env.TOKEN); process.stdin.resume()",
    python: "import os,sys; print(os.environ['TOKEN'], flush=True); input()",
  };
  const programs: Record<LayerName, Program> = {
    exec: { start: ["true"], idle: ["cat"] },
    bash: { start: ["bash", "-c", ":"], idle: ["bash", "-c", reading.bash] },
    node: { start: [node, "--", nothing], idle: [node, "-e", reading.node] },
    python: { start: [python, "-c", "pass"], idle: [python, "-c", reading.python] },
  };
  return programs[layer];
}

/**
 * What a start costs, ms of processor: so that other work of the machine counts as little as can be.
 * With and without by turns, and of each the value below which a twentieth of all starts are: a machine
 * that others use, too, is slower at times by more than a layer costs, and this differs least from run to
 * run. `starts` is the program that measures each.
 */
export function measureStart(agent: BenchAgent, layer: LayerName, starts: string): Pair {
  const words = [String(STARTS[layer]), ...program(layer, agent).start];
  const round = (works: readonly LayerName[]) => {
    const options = { env: agent.environment(works), encoding: "utf8" } as const;
    const { status, stdout } = spawnSync(starts, words, options);
    if (status !== 0) throw new Error(`${layer}: a program did not start or did not end well`);
    return stdout.trim().split("\n").map(Number);
  };
  const samples = { with: [] as number[], without: [] as number[] };
  for (let at = 0; at < ROUNDS; at++) {
    samples.without.push(...round([]));
    samples.with.push(...round([layer]));
  }
  const typicalMs = (ns: number[]) => percentile(ns, 0.05) / 1e6;
  return { with: typicalMs(samples.with), without: typicalMs(samples.without) };
}

const READS: Partial<Record<LayerName, (agent: BenchAgent) => [string, ...string[]]>> = {
  bash: () => [
    "bash",
    "-c",
    "f() { for ((i = 0; i < 200000; i++)); do [[ $TOKEN ]]; done; }; a=${EPOCHREALTIME/./}; f; b=${EPOCHREALTIME/./}; echo $(((b - a) / 200))",
  ],
  node: () => [
    process.execPath,
    "-e",
    "let n=0; const run=()=>{const a=process.hrtime.bigint(); for(let i=0;i<2e6;i++) n+=process.env.TOKEN.length; return Number(process.hrtime.bigint()-a)/2e6}; run(); console.log(run())",
  ],
  python: ({ python }) => [
    python,
    "-c",
    "import os,timeit; print(min(timeit.repeat(lambda: os.environ['TOKEN'], number=300000, repeat=3))/300000*1e9)",
  ],
};

/** One read of a variable, ns; undefined: the layer has no part in it. */
export function measureRead(agent: BenchAgent, layer: LayerName): Pair | undefined {
  const command = READS[layer]?.(agent);
  if (!command) return undefined;
  const [file, ...args] = command;
  const run = (works: readonly LayerName[]) => {
    const options = { env: agent.environment(works), encoding: "utf8" } as const;
    const said = Array.from({ length: 5 }, () => Number(spawnSync(file, args, options).stdout));
    return percentile(said, 0.5);
  };
  return { with: run([layer]), without: run([]) };
}

/** What a process costs that does nothing: KB of memory, and how often it ran. */
export async function measureIdle(
  agent: BenchAgent,
  layer: LayerName,
): Promise<{ memory: Pair; wakeUps: Pair } | undefined> {
  if (layer === "exec") return undefined; // It is over before the program begins.
  const outside = await idle(agent, layer, []);
  const inside = await idle(agent, layer, [layer]);
  return {
    memory: { with: inside.kilobytes, without: outside.kilobytes },
    wakeUps: { with: inside.switches, without: outside.switches },
  };
}

async function idle(agent: BenchAgent, layer: LayerName, works: readonly LayerName[]) {
  const [file, ...args] = program(layer, agent).idle;
  const found = [];
  for (let at = 0; at < 3; at++) {
    const child = spawn(file, args, { env: agent.environment(works), stdio: "pipe" });
    await once(child.stdout, "data");
    await delay(500);
    const before = switchesOf(child.pid ?? 0);
    await delay(IDLE_MS);
    const switches = switchesOf(child.pid ?? 0) - before;
    found.push({ switches, kilobytes: privateKilobytesOf(child.pid ?? 0) });
    child.kill("SIGKILL");
  }
  const median = (of: number[]) => percentile(of, 0.5);
  return {
    switches: median(found.map(({ switches }) => switches)),
    kilobytes: median(found.map(({ kilobytes }) => kilobytes)),
  };
}

/** How often any of its threads was put on a processor. */
function switchesOf(pid: number): number {
  return readdirSync(`/proc/${pid}/task`)
    .map((task) => readFileSync(`/proc/${pid}/task/${task}/status`, "utf8"))
    .flatMap((text) =>
      [...text.matchAll(/ctxt_switches:\s+(\d+)/g)].map(([, count]) => Number(count)),
    )
    .reduce((sum, count) => sum + count, 0);
}

function privateKilobytesOf(pid: number): number {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  return [...text.matchAll(/^Private_\w+:\s+(\d+) kB/gm)].reduce(
    (sum, [, kb]) => sum + Number(kb),
    0,
  );
}
