import { randomUUID } from "node:crypto";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { AgentPhase } from "../../gen/murmur/rotation/v1/agents";
import { isAppError } from "../../lib/errors";
import { eventually } from "../harness/eventually";
import { freshRandom, startTestStack, type TestStack, WORKSPACE } from "../harness/stack";
import { spawnWatchedTree, type WatchedTree } from "../harness/watched-tree";

const KILLS_PER_PART = 4;
const PARTS = ["vm-agent-1", "catalog", "rotation"];
/** A rekey is over by then, from the call to the ack. */
const REKEY_TAKES_MS = 120;
const WAIT = { timeoutMs: 60_000 };

let stack: TestStack;
let tree: WatchedTree;
let scratch: string;
let random = freshRandom();

beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), "murmur-kill-"));
  stack = await startTestStack();
  await stack.setTwins(random);
  tree = await spawnWatchedTree(stack, "fix-auth", random);
}, 360_000);

afterAll(async () => {
  await stack.stop();
  tree.remove();
  rmSync(scratch, { recursive: true });
}, 360_000);

/** What a patient client is not prepared for. */
const surprises: unknown[] = [];

afterEach(() => {
  expect(surprises).toEqual([]);
});

/** As a patient client does: the same request again until somebody answers it. */
async function rekeyUntilAccepted(requestId: string): Promise<Map<string, bigint>> {
  return eventually(
    async () => {
      try {
        return await stack.rekey("fix-auth", requestId);
      } catch (error) {
        // A service that dies says one of these, or nothing; all else is a bug.
        const codes = ["UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED"];
        if (!isAppError(error) || !codes.includes(error.code)) surprises.push(error);
        throw error;
      }
    },
    { timeoutMs: 30_000, everyMs: 50 },
  );
}

test("each part killed at random moments of rekeys comes back by itself, and all converges", async () => {
  const before = tree.identities();
  // Spent at the join; a machine that has joined needs none.
  rmSync(join(stack.place.dataDir, "keys", "vm-1-join-token"));
  const requests: string[] = [];
  const earlier = await countRollouts();
  for (let round = 0; round < KILLS_PER_PART; round++) {
    for (const part of PARTS) {
      random = freshRandom();
      await eventually(() => stack.setTwins(random), { timeoutMs: 30_000, everyMs: 50 });
      const accepted = Array.from({ length: 3 }, () => {
        const requestId = randomUUID();
        requests.push(requestId);
        return rekeyUntilAccepted(requestId);
      });
      await delay(Math.random() * REKEY_TAKES_MS);
      await stack.kill(part);
      const generations = await Promise.all(accepted);
      for (const path of tree.paths) {
        const newest = generations.map((of) => of.get(path)!).sort((a, b) => Number(b - a))[0]!;
        await stack.applied(path, newest, 60_000);
      }
      await tree.uses(random);
    }
  }
  expect(tree.identities()).toEqual(before);
  expect(tree.torn()).toBe(0);
  // However often a request was repeated, it was carried out once.
  expect(await countRollouts()).toBe(earlier + requests.length);
}, 480_000);

async function countRollouts(): Promise<number> {
  const page = { workspace: WORKSPACE, pageSize: 1000, pageToken: "" };
  return (await stack.clients.rollouts.listRollouts(page)).rollouts.length;
}

test.each([
  ["by itself", "exit 7", { $case: "code", value: 7 }],
  ["by a signal", "kill -KILL $$", { $case: "signal", value: "SIGKILL" }],
])(
  "how an agent ended %s while its daemon was dead is reported when the daemon is back",
  async (how, end, exit) => {
    const slug = `ends-${how.replaceAll(" ", "-")}`;
    const go = join(scratch, slug);
    const script = `while [ ! -e ${go} ]; do sleep 0.02; done; ${end}`;
    await stack.murmur.run(["spawn", slug, "--", "sh", "-c", script]);
    const pid = await eventually(async () => {
      const request = { workspace: WORKSPACE, path: slug };
      const { agent, processes } = await stack.clients.agents.getAgent(request);
      expect(agent?.phase).toBe(AgentPhase.AGENT_PHASE_RUNNING);
      return processes[0]!.pid;
    }, WAIT);
    // Stopped it sees nothing any more, so the end falls into the time without a daemon for sure.
    stack.freeze("vm-agent-1");
    writeFileSync(go, "");
    await eventually(() => expect(existsSync(`/proc/${pid}`)).toBe(false), WAIT);
    await stack.kill("vm-agent-1");
    await eventually(async () => {
      const agent = await stack.agent(slug);
      expect(agent.phase).toBe(AgentPhase.AGENT_PHASE_FAILED);
      expect(agent.exitStatus?.how).toEqual(exit);
    }, WAIT);
  },
  360_000,
);

test.each(["catalog", "rotation", "vm-agent-1"])(
  "a %s that freezes holds up what needs it, half does nothing, and goes on when it thaws",
  async (part) => {
    const thaw = stack.freeze(part);
    random = freshRandom();
    const requestId = randomUUID();
    const request = { workspace: WORKSPACE, path: "fix-auth", requestId, reason: "" };
    // A frozen daemon concerns nobody but its own agents.
    const isConcerned = part !== "vm-agent-1";
    const timeoutMs = isConcerned ? 1_500 : WAIT.timeoutMs;
    const startedMs = performance.now();
    const outcome = await stack.clients.rollouts.rekeyAgent(request, { timeoutMs }).then(
      () => "accepted",
      (error: unknown) => (isAppError(error) ? error.code : String(error)),
    );
    expect(performance.now() - startedMs).toBeLessThan(timeoutMs + 10_000);
    const expected = isConcerned ? ["UNAVAILABLE", "DEADLINE_EXCEEDED"] : ["accepted"];
    expect(expected).toContain(outcome);
    thaw();
    await eventually(() => stack.setTwins(random), WAIT);
    await rekeyUntilAccepted(requestId);
    const generations = await rekeyUntilAccepted(randomUUID());
    for (const [path, generation] of generations) await stack.applied(path, generation);
    await tree.uses(random);
  },
  360_000,
);
