import { execFileSync, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import type { LayerName } from "../../services/vm-agent/live-env/receipts";
import type { BenchAgent } from "./bench-agent";

/** A program that says when it saw which value. */
export interface Reader {
  name: string;
  layer?: LayerName;
  command(agent: BenchAgent): readonly [string, ...string[]];
  /** By the clock since the epoch and in µs, for want of another. */
  isByRealTime?: boolean;
}

/** All of them, the yardstick first; `inotify` is its program. */
export function readers(root: string, inotify: string): Reader[] {
  const file = (name: string) => join(root, "bench/live/readers", name);
  const node = process.execPath;
  return [
    { name: "bare inotify reader", command: ({ directory }) => [inotify, directory] },
    {
      ...{ name: "bash, loop", layer: "bash", isByRealTime: true },
      command: () => ["bash", file("busy.sh")],
    },
    { name: "Node, reading", layer: "node", command: () => [node, file("busy.cjs")] },
    { name: "Node, idle, listening", layer: "node", command: () => [node, file("idle.cjs")] },
    {
      name: "Python, reading",
      layer: "python",
      command: ({ python }) => [python, file("busy.py")],
    },
  ];
}

const PATIENCE_MS = 10_000;

/** How long after each swap a reader saw it, µs. */
export async function measureLatency(
  agent: BenchAgent,
  reader: Reader,
  { swaps, from, inotify }: { swaps: number; from: number; inotify: string },
): Promise<number[]> {
  const offset = () => BigInt(execFileSync(inotify, ["clock"], { encoding: "utf8" }).trim());
  const aheadNs = reader.isByRealTime ? offset() : 0n;
  const [program, ...args] = reader.command(agent);
  const env = agent.environment(reader.layer ? [reader.layer] : []);
  const child = spawn(program, args, { env, stdio: ["pipe", "pipe", "inherit"] });
  const seen = new Map<string, bigint>();
  let wake = () => {};
  createInterface({ input: child.stdout }).on("line", (line) => {
    const [at = "", value = ""] = line.split(" ");
    const ns = BigInt(at) * (reader.isByRealTime ? 1000n : 1n) - aheadNs;
    if (!seen.has(value)) seen.set(value, ns);
    wake();
  });
  const sight = async (value: string) => {
    const endMs = performance.now() + PATIENCE_MS;
    while (!seen.has(value)) {
      if (performance.now() > endMs) throw new Error(`${reader.name} never saw ${value}`);
      const awoken = new Promise<void>((resolve) => (wake = resolve));
      await Promise.race([awoken, delay(100)]);
    }
    return seen.get(value) ?? 0n;
  };
  try {
    const samples: number[] = [];
    await sight(`t-${from}`);
    for (let generation = from + 1; generation <= from + swaps; generation++) {
      await delay(2 + Math.random() * 4);
      const movedAt = agent.swap(generation);
      samples.push(Number((await sight(`t-${generation}`)) - movedAt) / 1000);
    }
    return samples;
  } finally {
    child.kill("SIGKILL");
  }
}
