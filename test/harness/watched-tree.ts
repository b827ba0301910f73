import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fingerprintOf, look, lookUntil, type Sighting } from "../../dev/tour/observer";
import type { TestStack } from "./stack";

/** An agent with a bash, a Node and perhaps a Python below it, and a child agent, all looked at. */
export interface WatchedTree {
  /** Of the agent and of its child agent. */
  readonly paths: [string, string];
  /** Every process as `pid started at ticks`: the same list means that none was restarted. */
  identities(): string[];
  /** Waits until every process uses the value of these twins. */
  uses(random: string, timeoutMs?: number): Promise<void>;
  /** Reads that mixed two sets, of all processes together. */
  torn(): number;
  remove(): void;
}

const START_MS = 60_000;

/** Spawns it on the first VM; the twins are set to `random` already. `remove` it after the stack. */
export async function spawnWatchedTree(
  { place, vms, murmur }: TestStack,
  slug: string,
  random: string,
): Promise<WatchedTree> {
  const observations = mkdtempSync(join(tmpdir(), "murmur-observations-"));
  const isOn = (seen: Sighting[], value: string) =>
    seen.every(({ fingerprint }) => fingerprint === fingerprintOf(`tok-${value}`));
  const programs = expectedPrograms().join();
  const isComplete = (seen: Sighting[]) =>
    seen
      .map(({ program: name }) => name)
      .sort()
      .join() === programs;
  const program = join(place.root, "dev", "tour", "programs", "agent.sh");
  const command = ["bash", program, observations, join(place.root, "bin", "murmur")];
  await murmur.run(["spawn", "--vm", vms[0]!.name, slug, "--", ...command]);
  await lookUntil(observations, (seen) => isComplete(seen) && isOn(seen, random), {
    what: "the agent's processes",
    timeoutMs: START_MS,
  });
  return {
    paths: [slug, `${slug}/helper`],
    identities: () =>
      look(observations)
        .map(({ pid, startTicks }) => `${pid} started at ${startTicks}`)
        .sort(),
    async uses(value, timeoutMs = 30_000) {
      const isRight = (seen: Sighting[]) => isComplete(seen) && isOn(seen, value);
      await lookUntil(observations, isRight, { what: "the newest value", timeoutMs });
    },
    torn: () => look(observations).reduce((sum, { torn }) => sum + torn, 0),
    remove: () => {
      rmSync(observations, { recursive: true, force: true });
    },
  };
}

/** The agent's own shell and its bash child, the child agent's bash, Node, and Python if there. */
function expectedPrograms(): string[] {
  const { status } = spawnSync("python3", ["--version"], { stdio: "ignore" });
  return ["bash", "bash", "bash", "node", ...(status === 0 ? ["python"] : [])];
}
