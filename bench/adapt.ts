import { startStack } from "../dev/stack/stack";
import type { BenchOptions } from "./benches";
import { withCatalogDatabase } from "./catalog-database";
import { type Figure, toFigure } from "./harness";
import { measureS12 } from "./s12-cli";
import { measureS3 } from "./s3-fetch";
import { measureS8 } from "./s8-swap";

/** S3: environment fetches a second, and how long one takes. */
export async function benchS3({ runs }: BenchOptions): Promise<Figure[]> {
  const result = await withCatalogDatabase((url) => measureS3({ url, runs }));
  const { p50Us, payloadBytes } = result;
  const parts = `echo ${p50Us.echo} + select ${p50Us.select} + seal ${p50Us.seal} + 200 µs`;
  return [
    toFigure(
      {
        ...{ id: "S3", name: "environment fetches of 20 secrets", unit: "1/s" },
        mark: { atLeast: 0.4 },
        notes: [`${payloadBytes.request} bytes asked, ${payloadBytes.response} answered`],
      },
      result.runs,
    ),
    toFigure(
      {
        ...{ id: "S3", name: "one fetch, p50", unit: "µs", mark: { atMost: 1 } },
        notes: [`yardstick = ${parts}`],
      },
      [{ ours: p50Us.fetch, yardstick: p50Us.allowed }],
    ),
  ];
}

/** S8: the swap for 100 agents on one VM. */
export function benchS8({ runs }: BenchOptions): Promise<Figure[]> {
  const results = Array.from({ length: runs }, () => measureS8());
  const [first] = results;
  const notes = [
    `${first?.bytesPerAgent ?? 0} bytes an agent; rendering them before: ${(first?.renderMs ?? 0).toFixed(1)} ms`,
    "ratio: the median of the rounds' own",
  ];
  const init = { id: "S8", name: "swap for 100 agents", unit: "ms", mark: { atMost: 2 } };
  const measured = results.map(({ swapMs, bareMs, ratio }) => {
    return { ours: swapMs, yardstick: bareMs, ratio };
  });
  return Promise.resolve([toFigure({ ...init, notes }, measured)]);
}

/** S12: a command against a running stack, start to exit. */
export async function benchS12({ runs, root, say }: BenchOptions): Promise<Figure[]> {
  const options = { withVault: false, withKafka: false, dataDir: undefined, fresh: false };
  const stack = await startStack({ ...options, firstPort: 0, vms: 1, json: false }, say);
  try {
    await stack.murmur.run(["secret", "set", "BENCH_SECRET"], "value\n");
    const { configFile: config } = stack.place;
    const measured = Array.from({ length: runs }, () => measureS12({ config, root }));
    const init = { id: "S12", name: "murmur secret ls, start to exit", unit: "ms" };
    return [
      toFigure(
        { ...init, mark: { atMost: 3 } },
        measured.map(({ cliMs, nodeMs }) => ({ ours: cliMs, yardstick: nodeMs })),
      ),
    ];
  } finally {
    await stack.stop();
  }
}
