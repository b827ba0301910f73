import { setTimeout as delay } from "node:timers/promises";
import { type Stack, startStack } from "../../dev/stack/stack";
import type { BenchOptions } from "../benches";
import { type Figure, type Mark, percentile, type Run, toFigure } from "../harness";
import { startBarePath } from "./bare-path";
import { type BrokerPath, startBrokerPath } from "./broker-path";
import { type Observer, startObserver } from "./observer";
import type { Passage, Path, Tree } from "./path";
import { startProductPath } from "./product-path";

/** Until both paths are compiled, as those of a service are. */
const WARM_UP = 200;
/** A VM takes at most 20 swaps a second of one agent. */
const PACE_MS = 55;
/** What a path still does when its readers have read must not fall on the other one. */
const REST_MS = 25;
const MARKS = { p50: 2, p99: 3 };
/** What Kafka may add, as a multiple of the broker's own way. */
const BROKER_SHARE = 1.5;
const KAFKA_P99_MS = 100;

interface Samples {
  product: Passage[];
  bare: Passage[];
  brokerUs: number[];
}

interface Paths {
  product: Path;
  bare: Path;
  broker: BrokerPath | undefined;
}

/**
 * S1: rekey committed → every agent on the VM reads the new value. Product and yardstick run in
 * turns on the same PostgreSQL, with the same reader program; times are the database's and the
 * readers', by one clock.
 */
export async function benchS1(
  { runs, rekeys, say }: BenchOptions,
  wakeUps: "stream" | "kafka",
): Promise<Figure[]> {
  const options = { withVault: false, dataDir: undefined, fresh: false, firstPort: 0, vms: 1 };
  const stack = await startStack({ ...options, withKafka: wakeUps === "kafka", json: false }, say);
  const observer = await startObserver();
  const stops: (() => Promise<void>)[] = [];
  try {
    const paths = await startPaths(stack, observer, stops);
    const figures: Figure[] = [];
    let round = 1;
    for (const tree of ["one", "ten"] as const) {
      round = (await measure(paths, tree, { round, rounds: WARM_UP })).round;
      const samples: Samples[] = [];
      for (let run = 0; run < runs; run++) {
        const measured = await measure(paths, tree, { round, rounds: rekeys });
        round = measured.round;
        samples.push(measured.samples);
        say(`  ${wakeUps}, ${tree}: run ${run + 1} of ${runs}`);
      }
      figures.push(...toFigures(wakeUps, tree, samples));
    }
    return figures;
  } finally {
    for (const stop of stops.reverse()) await stop();
    observer.close();
    await stack.stop();
  }
}

async function startPaths(
  stack: Stack,
  observer: Observer,
  stops: (() => Promise<void>)[],
): Promise<Paths> {
  const product = await startProductPath(stack, observer);
  stops.push(() => product.stop());
  const bare = await startBarePath(stack.place.postgresUrl, observer);
  stops.push(() => bare.stop());
  const { kafkaBrokers } = stack.place;
  const broker = kafkaBrokers ? await startBrokerPath(kafkaBrokers, observer) : undefined;
  if (broker) stops.push(() => broker.stop());
  return { product, bare, broker };
}

/** So many rounds of each path in turns. */
async function measure(
  { product, bare, broker }: Paths,
  tree: Tree,
  { round, rounds }: { round: number; rounds: number },
): Promise<{ samples: Samples; round: number }> {
  const samples: Samples = { product: [], bare: [], brokerUs: [] };
  const end = round + rounds;
  for (; round < end; round++) {
    const startMs = performance.now();
    samples.product.push(await product.change(tree, round));
    await delay(REST_MS);
    samples.bare.push(await bare.change(tree, round));
    if (broker) samples.brokerUs.push(await broker.pass(round));
    await delay(Math.max(REST_MS, PACE_MS - (performance.now() - startMs)));
  }
  return { samples, round };
}

function toFigures(wakeUps: "stream" | "kafka", tree: Tree, samples: Samples[]): Figure[] {
  const agents = tree === "one" ? "1 agent" : "10 agents";
  const of = (part: "p50" | "p99"): Figure => {
    const share = part === "p50" ? 0.5 : 0.99;
    const at = (values: number[]) => percentile(values, share) / 1000;
    const runs = samples.map(({ product, bare, brokerUs }) => ({
      ours: at(product.map(({ committedToReadUs }) => committedToReadUs)),
      yardstick: at(bare.map(({ committedToReadUs }) => committedToReadUs)),
      brokerMs: brokerUs.length > 0 ? at(brokerUs) : 0,
    }));
    const name = `${wakeUps}, ${agents}: committed → read, ${part}`;
    return wakeUps === "stream"
      ? figure(name, { atMost: MARKS[part] }, runs)
      : kafkaFigure(name, part, runs);
  };
  const acked = samples.map(({ product, bare }) => ({
    ours:
      percentile(
        product.map((it) => it.calledToAckedUs),
        0.5,
      ) / 1000,
    yardstick:
      percentile(
        bare.map((it) => it.calledToAckedUs),
        0.5,
      ) / 1000,
  }));
  const name = `${wakeUps}, ${agents}: called → last ack, p50`;
  return [of("p50"), of("p99"), figure(name, undefined, acked)];
}

function figure(name: string, mark: Mark | undefined, runs: Run[]): Figure {
  return toFigure({ id: "S1", name, unit: "ms", ...(mark && { mark }) }, runs);
}

/** The allowance is the yardstick: what the stream may take, and the broker's own way. */
function kafkaFigure(
  name: string,
  part: "p50" | "p99",
  runs: readonly (Run & { brokerMs: number })[],
): Figure {
  const allowed = runs.map(({ ours, yardstick, brokerMs }) => {
    const sum = MARKS[part] * yardstick + BROKER_SHARE * brokerMs;
    return { ours, yardstick: part === "p99" ? Math.min(sum, KAFKA_P99_MS) : sum };
  });
  const parts = runs.map(({ yardstick, brokerMs }) => {
    return `${MARKS[part]} × bare ${yardstick.toFixed(2)} + ${BROKER_SHARE} × broker ${brokerMs.toFixed(2)}`;
  });
  const notes = [`yardstick = ${parts.join("; ")}`];
  return toFigure({ id: "S1", name, unit: "ms", mark: { atMost: 1 }, notes }, allowed);
}
