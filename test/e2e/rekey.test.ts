import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fingerprintOf, look, lookUntil, type Sighting } from "../../dev/tour/observer";
import { startTestStack, type TestStack } from "../harness/stack";
import { compileSetReader, type SetReader } from "./set-reader";

const REKEYS = 1000;
/** In flight at once. */
const WIDTH = 5;
/** The values change once for so many rekeys. */
const REKEYS_PER_VALUE = 20;
const MIN_READS = 10_000;

let stack: TestStack;
let reader: SetReader;
let observations: string;

beforeAll(async () => {
  observations = mkdtempSync(join(tmpdir(), "murmur-observations-"));
  reader = await compileSetReader();
  stack = await startTestStack();
}, 120_000);

afterAll(async () => {
  await stack.stop();
  reader.remove();
  rmSync(observations, { recursive: true });
}, 60_000);

/** The agent of the tour: a bash, a Node and perhaps a Python below it, and a child agent. */
async function spawnTree(random: string): Promise<Sighting[]> {
  const { place, vms, murmur } = stack;
  const program = join(place.root, "dev", "tour", "programs", "agent.sh");
  const command = ["bash", program, observations, join(place.root, "bin", "murmur")];
  await murmur.run(["spawn", "--vm", vms[0]!.name, "fix-auth", "--", ...command]);
  const isComplete = (programs: string[]) =>
    programs.filter((name) => name === "bash").length === 3 && programs.includes("node");
  return lookUntil(
    observations,
    (seen) =>
      isComplete(seen.map(({ program: name }) => name)) &&
      seen.every(({ fingerprint }) => fingerprint === fingerprintOf(`tok-${random}`)),
    { what: "the agent's processes", timeoutMs: 60_000 },
  );
}

const identityOf = ({ pid, startTicks }: Sighting) => `${pid} started at ${startTicks}`;

test("a thousand rekeys change no pid and no start time, and the last generation is used by all", async () => {
  let random = randomBytes(12).toString("hex");
  await stack.setTwins(random);
  const before = await spawnTree(random);
  const agents = ["fix-auth", "fix-auth/helper"];
  const directories = await Promise.all(
    agents.map(async (path) =>
      join(stack.vms[0]!.runDir, "agents", (await stack.agent(path)).agentId),
    ),
  );
  const readings = directories.map((directory) => reader.start(directory));

  const newest = new Map(agents.map((path) => [path, 0n]));
  for (let done = 0; done < REKEYS; done += REKEYS_PER_VALUE) {
    random = randomBytes(12).toString("hex");
    await stack.setTwins(random);
    for (let batch = 0; batch < REKEYS_PER_VALUE; batch += WIDTH) {
      const answers = await Promise.all(
        Array.from({ length: WIDTH }, () => stack.rekey("fix-auth")),
      );
      for (const generations of answers) {
        expect([...generations.keys()].sort()).toEqual(agents);
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
  const after = await lookUntil(
    observations,
    (seen) => seen.every(({ fingerprint }) => fingerprint === fingerprintOf(`tok-${random}`)),
    { what: "the last value", timeoutMs: 15_000 },
  );
  expect(after.map(identityOf).sort()).toEqual(before.map(identityOf).sort());
  expect(look(observations).reduce((sum, { torn }) => sum + torn, 0)).toBe(0);
  for (const stop of readings) {
    const report = await stop();
    expect(report).toMatchObject({ mixed: 0, absent: 0, wrong: 0, wentBack: 0 });
    expect(report.reads).toBeGreaterThan(MIN_READS);
    // Swaps may be left out when a later generation is known already, but not most of the values.
    expect(report.generations).toBeGreaterThan(REKEYS / REKEYS_PER_VALUE / 2);
    expect(report.pruned).toBeLessThan(report.rounds / 100);
  }
}, 180_000);
