import { randomBytes } from "node:crypto";
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Say, Stack } from "../stack/stack";
import { fingerprintOf, look, lookUntil, type Sighting } from "./observer";

/** What was seen of one rekey, from outside. */
export interface TourResult {
  /** From the start of `murmur rekey` until the last process was seen on the new value. */
  rekey_ms: number;
  agents: number;
  processes: number;
  on_new: number;
  restarted: number;
  torn: number;
  woken_by: "stream" | "kafka";
  key_provider: "local" | "vault-transit";
}

/** The same, with what people want to read. */
export interface Tour {
  result: TourResult;
  before: Sighting[];
  after: Sighting[];
  /** The command from start to exit. */
  commandMs: number;
  reads: number;
  isSuccess: boolean;
}

const SLUG = "fix-auth";
const START_MS = 30_000;
const REKEY_MS = 20_000;

/** Spawns an agent with children, changes a secret, rekeys, and looks at every process. */
export async function takeTour(stack: Stack, say: Say): Promise<Tour> {
  const observations = join(stack.place.dataDir, "tour", randomBytes(4).toString("hex"));
  mkdirSync(observations, { recursive: true });
  const expected = hasPython() ? 5 : 4;
  const old = await setSecret(stack);
  say(
    `spawning the agent ${SLUG}: bash, Node${hasPython() ? " and Python" : ""} children, and a child agent`,
  );
  const program = join(stack.place.root, "dev", "tour", "programs", "agent.sh");
  const murmur = join(stack.place.root, "bin", "murmur");
  const command = ["bash", program, observations, murmur, "live"];
  await stack.murmur.run(["spawn", "--vm", stack.vms[0]?.name ?? "", SLUG, "--", ...command]);
  const isOn = (value: string) => (seen: Sighting[]) =>
    seen.length === expected &&
    seen.every(({ fingerprint }) => fingerprint === fingerprintOf(value));
  const before = await lookUntil(observations, isOn(old), {
    what: "the agent's processes",
    timeoutMs: START_MS,
  });

  const fresh = await setSecret(stack);
  say(`$ murmur rekey ${SLUG}`);
  const startedMs = Date.now();
  const rekey = await stack.murmur.run(["rekey", SLUG]);
  say(rekey.stdout.trim());
  const after = await lookUntil(observations, isOn(fresh), {
    what: "the new value",
    timeoutMs: REKEY_MS,
  }).catch(() => look(observations));
  return judge(stack, {
    before,
    after,
    startedMs,
    commandMs: rekey.tookMs,
    fresh: fingerprintOf(fresh),
  });
}

function judge(
  stack: Stack,
  seen: {
    before: Sighting[];
    after: Sighting[];
    startedMs: number;
    commandMs: number;
    fresh: string;
  },
): Tour {
  const { before, after, startedMs, commandMs, fresh } = seen;
  const key = ({ pid, startTicks }: Sighting) => `${pid}@${startTicks}`;
  const still = new Set(after.map(key));
  const onNew = after.filter(({ fingerprint }) => fingerprint === fresh);
  const lastMs = Math.max(...onNew.map(({ firstSeenMs }) => firstSeenMs.get(fresh) ?? Number.NaN));
  const result: TourResult = {
    rekey_ms: lastMs - startedMs,
    agents: 2,
    processes: before.length,
    on_new: onNew.length,
    restarted: before.filter((sighting) => !still.has(key(sighting))).length,
    torn: after.reduce((sum, { torn }) => sum + torn, 0),
    woken_by: stack.place.kafkaBrokers ? "kafka" : "stream",
    key_provider: stack.place.vault ? "vault-transit" : "local",
  };
  const isSuccess =
    result.on_new === result.processes && result.restarted === 0 && result.torn === 0;
  const reads = after.reduce((sum, sighting) => sum + sighting.reads, 0);
  return { result, before, after, commandMs, reads, isSuccess };
}

/** Gives the demo's secret and its twin a new value in common. */
async function setSecret({ murmur }: Stack): Promise<string> {
  const random = randomBytes(12).toString("hex");
  await murmur.run(["secret", "set", "DEMO_TOKEN"], `tok-${random}\n`);
  await murmur.run(["secret", "set", "DEMO_TOKEN_TWIN"], `twin-${random}\n`);
  return `tok-${random}`;
}

let python: boolean | undefined;

function hasPython(): boolean {
  if (python === undefined) {
    try {
      execFileSync("python3", ["--version"], { stdio: "ignore" });
      python = true;
    } catch {
      python = false; // Not installed: the tour does without.
    }
  }
  return python;
}
