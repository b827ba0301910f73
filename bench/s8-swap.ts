import * as fs from "node:fs";
import { sensitive } from "../lib/sensitive";
import { createEnvFiles, type EnvFiles } from "../services/vm-agent/env-set/env-files";
import { type EnvSet } from "../services/vm-agent/env-set/env-set";
import { render, type RenderedSet } from "../services/vm-agent/env-set/render";
import { prepareRunDir } from "../services/vm-agent/env-set/run-dir";

/** S8: the product's swap beside a bare one of the same files and bytes, in one run. */
export interface S8Result {
  agents: number;
  rounds: number;
  /** Bytes of one agent's generation, all files. */
  bytesPerAgent: number;
  /** Medians over the rounds, for all agents together. */
  swapMs: number;
  bareMs: number;
  /** Rendering the sets, which happens before the swap; for orientation. */
  renderMs: number;
  /** The median of the rounds' own ratios. */
  ratio: number;
}

export interface S8Options {
  /** A directory on a tmpfs that may be written in. */
  tmpfs?: string;
  agents?: number;
  rounds?: number;
}

const SECRETS = 20;
const WARM_UP_ROUNDS = 100;
/** Another user than root's, so that the product pays for giving files away. */
const OWNER = { uid: 65534, gid: 65534 };

/**
 * Swaps one generation after the other in for all agents, product and yardstick in turns, and
 * compares the medians. Old generations are removed between the rounds for both, off the clock.
 */
export function measureS8(options: S8Options = {}): S8Result {
  const { tmpfs = "/dev/shm", agents = 100, rounds = 60 } = options;
  const base = fs.mkdtempSync(`${tmpfs}/murmur-s8-`);
  const uid = process.geteuid?.() ?? 0;
  const { agentsDirectory } = prepareRunDir(`${base}/run`, uid);
  const files = createEnvFiles({ agentsDirectory, uid });
  try {
    for (let agent = 0; agent < agents; agent++) fs.mkdirSync(`${base}/bare-${agent}`);
    const samples = { swap: [] as number[], bare: [] as number[], render: [] as number[] };
    let bytesPerAgent = 0;
    for (let round = 1; round <= WARM_UP_ROUNDS + rounds; round++) {
      const sets = Array.from({ length: agents }, (_, agent) => exampleSet(agent, round));
      const rendered: RenderedSet[] = [];
      const renderMs = timed(() => {
        for (const set of sets) {
          rendered.push(render(set, { directory: files.directoryOf(set.agentId) }));
        }
      });
      const ms = { swap: 0, bare: 0 };
      for (const [agent, set] of rendered.entries()) {
        // Agent by agent in turns: what else the machine does then falls on both alike.
        ms.swap += timed(() => files.swap(set, OWNER));
        const copy = bareCopy(files, set);
        ms.bare += timed(() => bareSwap(`${base}/bare-${agent}`, round, copy));
        bytesPerAgent = copy.reduce((sum, { content }) => sum + content.length, 0);
      }
      for (const { agentId } of rendered) files.prune(agentId);
      pruneBare(base, agents, round - 2);
      if (round <= WARM_UP_ROUNDS) continue;
      samples.swap.push(ms.swap);
      samples.bare.push(ms.bare);
      samples.render.push(renderMs);
    }
    const [swapMs, bareMs] = [median(samples.swap), median(samples.bare)];
    const renderMs = median(samples.render);
    const ratio = median(samples.swap.map((ms, at) => ms / (samples.bare[at] ?? Number.NaN)));
    return { agents, rounds, bytesPerAgent, swapMs, bareMs, renderMs, ratio };
  } finally {
    files.close();
    fs.rmSync(base, { recursive: true });
  }
}

interface BareFile {
  path: string;
  content: Buffer;
}

/** Everything that the product wrote for the generation, its manifest too. */
function bareCopy(files: EnvFiles, set: RenderedSet): BareFile[] {
  const directory = `${files.directoryOf(set.agentId)}/..data`;
  return fs.readdirSync(directory).map((path) => {
    return { path, content: fs.readFileSync(`${directory}/${path}`) };
  });
}

/** The yardstick: what anyone would write who needs nothing but the atomic rename. */
function bareSwap(directory: string, round: number, files: readonly BareFile[]): void {
  const generation = `..g${round}`;
  fs.mkdirSync(`${directory}/${generation}`);
  for (const { path, content } of files) {
    fs.writeFileSync(`${directory}/${generation}/${path}`, content, { mode: 0o400 });
  }
  fs.symlinkSync(generation, `${directory}/..tmp`);
  fs.renameSync(`${directory}/..tmp`, `${directory}/..data`);
}

function pruneBare(base: string, agents: number, round: number): void {
  for (let agent = 0; agent < agents; agent++) {
    fs.rmSync(`${base}/bare-${agent}/..g${round}`, { recursive: true, force: true });
  }
}

function exampleSet(agent: number, round: number): EnvSet {
  const variables = Array.from({ length: SECRETS }, (_, at) => ({
    name: `SERVICE_${String(at).padStart(2, "0")}_TOKEN`,
    value: sensitive(Buffer.from(`tok-${agent}-${at}-${round}-${"x".repeat(28)}`)),
    delivery: "environment" as const,
  }));
  const generation = BigInt(round);
  return { agentId: `agent-${agent}`, generation, variables, unset: [], fingerprint: `f${round}` };
}

function timed(work: () => unknown): number {
  const start = performance.now();
  work();
  return performance.now() - start;
}

function median(samples: readonly number[]): number {
  return [...samples].sort((a, b) => a - b)[Math.floor(samples.length / 2)] ?? Number.NaN;
}
