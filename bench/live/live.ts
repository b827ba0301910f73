import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LAYERS, type LayerName } from "../../services/vm-agent/live-env/receipts";
import type { BenchOptions } from "../benches";
import { type Figure, percentile, toFigure } from "../harness";
import { measureIdle, measureRead, measureStart } from "./costs";
import { measureLatency, readers } from "./latency";
import { type BenchAgent, createBenchAgent } from "./bench-agent";

const SWAPS = 500;
const ID = "LIVE";
/** What a start may cost on top, ms. */
const ALLOWED_MS: Record<LayerName, number> = { exec: 0.15, bash: 0.2, node: 3, python: 1 };

/** How soon running programs see a swap, and what the layers cost each process. */
export async function benchLive({ root, say }: BenchOptions): Promise<Figure[]> {
  const scratch = mkdtempSync(join(tmpdir(), "murmur-bench-"));
  const agent = await createBenchAgent(root);
  try {
    const compile = (name: string) => {
      const program = join(scratch, name);
      execFileSync("cc", ["-O2", "-o", program, join(root, `bench/live/readers/${name}.c`)]);
      return program;
    };
    const [inotify, starts] = [compile("inotify"), compile("starts")];
    const figures = await latencies(agent, { root, inotify, say });
    for (const layer of LAYERS) {
      say(`  ${layer}: costs`);
      figures.push(...(await costs(agent, layer, starts)));
    }
    return figures;
  } finally {
    agent.remove();
    rmSync(scratch, { recursive: true });
  }
}

async function latencies(
  agent: BenchAgent,
  { root, inotify, say }: { root: string; inotify: string; say: BenchOptions["say"] },
): Promise<Figure[]> {
  const figures: Figure[] = [];
  let bare: number[] = [];
  let from = 1;
  agent.swap(from);
  for (const reader of readers(root, inotify)) {
    say(`  ${reader.name}: ${SWAPS} swaps`);
    const samples = await measureLatency(agent, reader, { swaps: SWAPS, from, inotify });
    from += SWAPS;
    if (!reader.layer) bare = samples;
    else
      for (const [word, part] of [
        ["p50", 0.5],
        ["p99", 0.99],
      ] as const) {
        const run = { ours: percentile(samples, part), yardstick: percentile(bare, part) };
        const name = `swap → seen, ${reader.name}, ${word}`;
        figures.push(toFigure({ id: ID, name, unit: "µs" }, [run]));
      }
  }
  return figures;
}

async function costs(agent: BenchAgent, layer: LayerName, starts: string): Promise<Figure[]> {
  const start = measureStart(agent, layer, starts);
  const what = layer === "exec" ? "an exec" : `a start of ${layer}`;
  const between = `${start.without.toFixed(3)} → ${start.with.toFixed(3)} ms`;
  const figures = [
    toFigure(
      {
        ...{ id: ID, name: `${what}, on top, beside what is allowed`, unit: "ms" },
        ...{ mark: { atMost: 1 }, notes: [between] },
      },
      [{ ours: start.with - start.without, yardstick: ALLOWED_MS[layer] }],
    ),
  ];
  const show = (
    name: string,
    unit: string,
    pair: { with: number; without: number } | undefined,
  ) => {
    if (!pair) return;
    const run = {
      ours: pair.with,
      yardstick: pair.without,
      ratio: pair.with / (pair.without || 1),
    };
    figures.push(toFigure({ id: ID, name: `${layer}: ${name}`, unit }, [run]));
  };
  show("one read", "ns", measureRead(agent, layer));
  const idle = await measureIdle(agent, layer);
  show("memory of its own, idle", "KB", idle?.memory);
  show("times on a processor in 3 s, idle", "", idle?.wakeUps);
  return figures;
}
