import { spawnSync } from "node:child_process";
import { join } from "node:path";

/** S12: `murmur secret ls` against a running stack beside `node -e 0`, start to exit. */
export interface S12Result {
  rounds: number;
  /** Medians. */
  cliMs: number;
  nodeMs: number;
  /** Median of the CLI over median of the yardstick. */
  ratio: number;
}

export interface S12Options {
  /** A murmur.local.yaml of the running stack: `config` of its stack.json. */
  config: string;
  /** Root of the repository. */
  root: string;
  rounds?: number;
}

const WARM_UP_ROUNDS = 3;

/** Starts both in turns, so that what else the machine does falls on both alike. */
export function measureS12({ config, root, rounds = 30 }: S12Options): S12Result {
  const samples = { cli: [] as number[], node: [] as number[] };
  for (let round = 0; round < WARM_UP_ROUNDS + rounds; round++) {
    const nodeMs = startToExitMs(["-e", "0"], {});
    const cliMs = startToExitMs([join(root, "bin/murmur"), "secret", "ls"], {
      MURMUR_CONFIG: config,
    });
    if (round < WARM_UP_ROUNDS) continue;
    samples.node.push(nodeMs);
    samples.cli.push(cliMs);
  }
  const [cliMs, nodeMs] = [median(samples.cli), median(samples.node)];
  return { rounds, cliMs, nodeMs, ratio: cliMs / nodeMs };
}

function startToExitMs(args: string[], env: Record<string, string>): number {
  const startMs = performance.now();
  const { status, stderr } = spawnSync(process.execPath, args, {
    env: { PATH: process.env["PATH"] ?? "", ...env },
    encoding: "utf8",
  });
  const tookMs = performance.now() - startMs;
  if (status !== 0) throw new Error(`${args.join(" ")} exited with ${status}: ${stderr}`);
  return tookMs;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
