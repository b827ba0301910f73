import { join } from "node:path";
import { freshRandom, startTestStack, type TestStack } from "../harness/stack";
import { spawnWatchedTree, type WatchedTree } from "../harness/watched-tree";
import { compileSetReader, type SetReader } from "../harness/set-reader";

/** A longer run says more about what is rare. */
const REKEYS = Number(process.env["MURMUR_REKEYS"] ?? "250");
/** In flight at once. */
const WIDTH = 5;
/** The values change once for so many rekeys. */
const REKEYS_PER_VALUE = 10;
const MIN_READS = 10 * REKEYS;

let stack: TestStack;
let reader: SetReader;
let tree: WatchedTree;
const first = freshRandom();

beforeAll(async () => {
  reader = await compileSetReader();
  stack = await startTestStack();
  await stack.setTwins(first);
  tree = await spawnWatchedTree(stack, "fix-auth", first);
}, 360_000);

afterAll(async () => {
  await stack.stop();
  reader.remove();
  tree.remove();
}, 360_000);

test(`${REKEYS} rekeys change no pid and no start time, and the last generation is used by all`, async () => {
  const before = tree.identities();
  const directories = await Promise.all(
    tree.paths.map(async (path) =>
      join(stack.vms[0]!.runDir, "agents", (await stack.agent(path)).agentId),
    ),
  );
  const readings = directories.map((directory) => reader.start(directory));

  let random = first;
  const newest = new Map(tree.paths.map((path) => [path, 0n]));
  for (let done = 0; done < REKEYS; done += REKEYS_PER_VALUE) {
    random = freshRandom();
    await stack.setTwins(random);
    for (let batch = 0; batch < REKEYS_PER_VALUE; batch += WIDTH) {
      const asked = Array.from({ length: WIDTH }, () => stack.rekey("fix-auth"));
      for (const generations of await Promise.all(asked)) {
        expect([...generations.keys()].sort()).toEqual(tree.paths);
        for (const [path, generation] of generations)
          if (generation > newest.get(path)!) newest.set(path, generation);
      }
    }
  }

  for (const [path, generation] of newest) {
    // The first is the spawn's.
    expect(generation).toBe(BigInt(REKEYS + 1));
    await stack.applied(path, generation);
  }
  await tree.uses(random);
  expect(tree.identities()).toEqual(before);
  expect(tree.torn()).toBe(0);
  for (const stop of readings) {
    const report = await stop();
    expect(report).toMatchObject({ mixed: 0, absent: 0, wrong: 0, wentBack: 0 });
    expect(report.reads).toBeGreaterThan(MIN_READS);
    // Swaps may be left out when a later generation is known already, but not most of the values.
    expect(report.generations).toBeGreaterThan(REKEYS / REKEYS_PER_VALUE / 2);
    // A reader that gets no processor for three swaps finds its set pruned; it finds others whole.
    expect(report.rounds - report.pruned).toBeGreaterThan(MIN_READS / 10);
  }
}, 480_000);
