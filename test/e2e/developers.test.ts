import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Murmur } from "../../dev/stack/murmur";
import { issueDeveloperToken } from "../../lib/identity/claims";
import type { Role } from "../../lib/identity/principal";
import { parseSigningKey } from "../../lib/identity/signing-key";
import { sensitive } from "../../lib/sensitive";
import { eventually } from "../harness/eventually";
import { startTestStack, type TestStack } from "../harness/stack";

const WAIT = { timeoutMs: 60_000 };
/** Says over and over what it sees, and spawns the child that it is told to. */
const PROGRAM = `
while :; do
  echo "\${GH_TOKEN-none} \${MINE-none} \${SHARED-none}" >now.tmp && mv now.tmp now
  if [ -e spawn ]; then rm spawn; "$MURMUR" spawn kid -- sleep 1000000 >spawned 2>&1; fi
  sleep 0.05
done
`;

let stack: TestStack;
let directory: string;
let admin: Murmur;
let alice: Murmur;
let bob: Murmur;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "murmur-developers-"));
  // Agents of two developers do not share a user of a machine.
  stack = await startTestStack({ vms: 2 });
  admin = stack.murmur;
  alice = await developer("github/alice", "member");
  bob = await developer("github/bob", "member");
  await admin.run(["secret", "set", "SHARED"], "all");
  // What the admin has is for agents that the admin spawns.
  await setOwn(admin, "local/developer", "MINE", "admins");
  await setOwn(alice, "github/alice", "MINE", "alices");
  await setOwn(alice, "github/alice", "GH_TOKEN", "ghp-alice");
  await alice.run(["set", "user", "github/alice"], "github_token_secret: GH_TOKEN");
  await setOwn(bob, "github/bob", "MINE", "bobs");
  await setOwn(bob, "github/bob", "GH_TOKEN", "ghp-bob");
  const [hers, his] = stack.vms;
  await spawn(alice, "hers", hers!.name);
  await spawn(bob, "his", his!.name);
}, 360_000);

afterAll(async () => {
  await stack.stop();
  rmSync(directory, { recursive: true, force: true });
}, 360_000);

/** The command line as another developer of the tenant has it. */
async function developer(id: string, role: Role): Promise<Murmur> {
  const { rotationKeyFile, tenant } = stack.identities;
  const key = parseSigningKey(sensitive(readFileSync(rotationKeyFile, "utf8")));
  const who = { tenantId: tenant, developer: id, role, ttlSeconds: 3600 };
  const token = await issueDeveloperToken(key, who);
  const config = join(directory, `${id.replace("/", "-")}.yaml`);
  const text = readFileSync(stack.place.configFile, "utf8");
  writeFileSync(config, text.replace(/^token: .*$/m, `token: ${token}`), { mode: 0o600 });
  return new Murmur(stack.place.root, config);
}

const setOwn = (as: Murmur, user: string, name: string, value: string) =>
  as.run(["set", "user-secret", `${user}/${name}`], JSON.stringify({ plaintext_value: value }));

async function spawn(as: Murmur, slug: string, vm: string): Promise<void> {
  const place = join(directory, slug);
  mkdirSync(place);
  const program = PROGRAM.replace("$MURMUR", join(stack.place.root, "bin", "murmur"));
  writeFileSync(join(place, "program.sh"), program);
  await as.run(["spawn", "--vm", vm, "--cwd", place, slug, "--", "bash", "program.sh"]);
}

/** Waits until the running process of an agent sees `GH_TOKEN MINE SHARED` as these. */
const sees = (slug: string, words: string) =>
  eventually(() => {
    expect(readFileSync(join(directory, slug, "now"), "utf8").trim()).toBe(words);
  }, WAIT);

/** What stands on the VM for an agent, the daemon's own names left out. */
async function setOf(path: string): Promise<Record<string, string>> {
  const { agentId, vmName } = await stack.agent(path);
  const vm = stack.vms.find(({ name }) => name === vmName);
  const file = join(vm!.runDir, "agents", agentId, "..data", "env.json");
  const all = JSON.parse(readFileSync(file, "utf8")) as Record<string, string>;
  return Object.fromEntries(Object.entries(all).filter(([name]) => !/^(_|MURMUR_)/.test(name)));
}

const rekey = (as: Murmur, path: string) => as.run(["rekey", "--timeout", "30s", path]);
const HERS = { SHARED: "all", MINE: "alices", GH_TOKEN: "ghp-alice" };

test("a developer's secrets reach the agents that this developer spawned, and no others", async () => {
  await sees("hers", "ghp-alice alices all");
  // Bob's profile names no secret for it.
  await sees("his", "none bobs all");
  expect(await setOf("hers")).toEqual(HERS);
  expect(await setOf("his")).toEqual({ SHARED: "all", MINE: "bobs" });
}, 360_000);

test("a child agent has those of the developer who spawned the root of its tree", async () => {
  writeFileSync(join(directory, "hers", "spawn"), "");
  await eventually(async () => expect(await setOf("hers/kid")).toEqual(HERS), WAIT);
}, 360_000);

test("whoever rekeys, an agent keeps those of its own developer", async () => {
  await rekey(admin, "hers");
  for (const path of ["hers", "hers/kid"]) expect(await setOf(path)).toEqual(HERS);
  const { code, stderr } = await bob.tryRun(["rekey", "hers"]);
  expect(code).toBe(1);
  expect(stderr).toContain(
    "PERMISSION_DENIED: only github/alice, an admin or an owner may do this",
  );
  await sees("hers", "ghp-alice alices all");
}, 360_000);

test("a profile decides what GH_TOKEN is, and unsets it in living processes when it names none", async () => {
  await setOwn(alice, "github/alice", "OTHER_TOKEN", "ghp-other");
  await alice.run(["set", "user", "github/alice"], "github_token_secret: OTHER_TOKEN");
  await sees("hers", "ghp-alice alices all");
  await rekey(alice, "hers");
  await sees("hers", "ghp-other alices all");

  await alice.run(["set", "user", "github/alice"], "{}");
  await rekey(admin, "hers");
  await sees("hers", "none alices all");
  for (const path of ["hers", "hers/kid"]) expect(await setOf(path)).not.toHaveProperty("GH_TOKEN");
  await sees("his", "none bobs all");
}, 360_000);

test("nobody reads or changes another developer's secrets, and nobody at all reads a value", async () => {
  for (const words of [
    ["get", "user-secret", "github/alice/MINE"],
    ["get", "user", "github/alice"],
    ["secret", "history", "github/alice/MINE"],
    ["rm", "user-secret", "github/alice/MINE"],
  ]) {
    const { code, stdout, stderr } = await bob.tryRun(words);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain("PERMISSION_DENIED");
  }
  await expect(setOwn(bob, "github/alice", "MINE", "x")).rejects.toThrow("PERMISSION_DENIED");
  expect((await bob.run(["get", "user-secret"])).stdout).not.toContain("alice");
  for (const as of [alice, admin]) {
    const shown = await Promise.all(
      [
        ["get", "user-secret", "github/alice/MINE"],
        ["get", "user-secret", "--json"],
        ["secret", "history", "--json", "github/alice/MINE"],
        ["status", "--json", "hers"],
      ].map((words) => as.run(words)),
    );
    expect(JSON.stringify(shown)).not.toMatch(/alices|ghp-/);
  }
}, 360_000);
