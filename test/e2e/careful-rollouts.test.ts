import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "../harness/eventually";
import { startTestStack, type TestStack } from "../harness/stack";

const WAIT = { timeoutMs: 60_000 };
/** Says over and over what it sees, and all that it ever saw. */
const PROGRAM = `
echo $$ >pid
while :; do
  if [ "$API_KEY" != "$last" ]; then last=$API_KEY; echo "$last" >>seen; fi
  echo "$API_KEY" >now.tmp && mv now.tmp now
  sleep 0.05
done
`;
const SLUGS = ["a", "b", "c"];
const CANARY = ["rekey", "--all", "--canary", "1", "--health", 'test "$API_KEY" != bad'];

let stack: TestStack;
let directory: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "murmur-careful-"));
  stack = await startTestStack();
  await set("good-1");
  for (const slug of SLUGS) {
    const place = join(directory, slug);
    mkdirSync(place);
    writeFileSync(join(place, "program.sh"), PROGRAM);
    await stack.murmur.run(["spawn", "--cwd", place, slug, "--", "bash", "program.sh"]);
  }
  for (const slug of SLUGS) await sees(slug, "good-1");
}, 360_000);

afterAll(async () => {
  await stack.stop();
  rmSync(directory, { recursive: true, force: true });
}, 360_000);

const set = (value: string) => stack.murmur.run(["secret", "set", "API_KEY"], value);
const read = (slug: string, file: string) =>
  readFileSync(join(directory, slug, file), "utf8").trim();
const sees = (slug: string, value: string) =>
  eventually(() => expect(read(slug, "now")).toBe(value), WAIT);
const generations = async () => {
  const agents = await Promise.all(SLUGS.map((slug) => stack.agent(slug)));
  return agents.map(({ desiredGeneration }) => Number(desiredGeneration));
};
const run = async (...words: string[]) => (await stack.murmur.run(words)).stdout;
/** Cells of a table's rows. */
const rows = (text: string) =>
  text
    .trim()
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/ {2,}/));

test("a dry run names who would change and which names, and leaves nothing behind", async () => {
  await set("good-2");
  await stack.murmur.run(["secret", "set", "OTHER"], "x");
  for (let times = 0; times < 2; times++)
    expect(rows(await run("rekey", "--all", "--dry-run"))).toEqual(
      SLUGS.map((slug) => ["demo", slug, "vm-1", "API_KEY +OTHER"]),
    );
  expect(await generations()).toEqual([1, 1, 1]);
  expect(await run("rekey", "a")).toBe("Rekeyed\n");
  await sees("a", "good-2");
  expect(rows(await run("rekey", "--all", "--dry-run"))[0]).toEqual([
    ...["demo", "a", "vm-1", "nothing"],
  ]);
}, 360_000);

test("holds names the agents, VMs and processes that have a version", async () => {
  const holders = async (secret: string) =>
    rows(await run("holds", "--secret", secret)).map(([, slug, vm, where]) => [slug, vm, where]);
  await eventually(async () => {
    const [old, now] = [await holders("API_KEY@1"), await holders("API_KEY@2")];
    for (const slug of ["b", "c"]) {
      expect(old).toContainEqual([slug, "vm-1", "files"]);
      expect(old).toContainEqual([slug, "vm-1", `${read(slug, "pid")} bash`]);
    }
    expect(old).not.toContainEqual(["a", "vm-1", "files"]);
    expect(now).toContainEqual(["a", "vm-1", "files"]);
    expect(now).toContainEqual(["a", "vm-1", `${read("a", "pid")} bash`]);
  }, WAIT);
  expect(await run("holds", "--secret", "NEVER")).toBe("");
}, 360_000);

test("a rekey by secret reaches all who have it", async () => {
  expect(await run("rekey", "--secret", "API_KEY", "--reason", "rotated")).toBe("Rekeyed\n");
  for (const slug of SLUGS) await sees(slug, "good-2");
  expect(rows(await run("rollouts"))[0]).toEqual(
    expect.arrayContaining(["--secret API_KEY", "rekey", "completed", "rotated"]),
  );
}, 360_000);

test("canaries whose health check fails are taken back, and nobody follows", async () => {
  await set("bad");
  const before = await generations();
  const { code, stdout, stderr } = await stack.murmur.tryRun(CANARY);
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  const reason = 'health check failed on "a": exit 1';
  expect(stderr).toContain(`murmur: rekey: canary rolled back: ${reason}\n`);
  await sees("a", "good-2");
  const [a = 0, ...others] = before;
  expect(await generations()).toEqual([a + 2, ...others]);
  for (const slug of ["b", "c"]) expect(read(slug, "seen")).not.toContain("bad");
  const [back, canary] = rows(await run("rollouts"));
  expect(back).toEqual(expect.arrayContaining(["rollback", "rotation", `canary: ${reason}`]));
  expect(canary).toEqual(expect.arrayContaining(["rekey", "rolled back", `canary: ${reason}`]));
}, 360_000);

test("canaries that are well are followed by the rest, though nobody waits and rotation is killed", async () => {
  await set("good-3");
  const { stdout } = await stack.murmur.run([...CANARY, "--then-wait", "2s", "--no-wait"]);
  const rolloutId = /^Rekey started: (\S+)$/m.exec(stdout)?.[1] ?? "";
  await stack.kill("rotation");
  for (const slug of SLUGS) await sees(slug, "good-3");
  await eventually(async () => {
    const shown = await run("rollouts", rolloutId);
    expect(shown).toMatch(/^--all of demo: completed, /);
    expect(shown).toContain("canary: 1 agent, passed\n");
  }, WAIT);
}, 360_000);

test("a canary that nobody can vouch for holds nobody up for ever: it can be taken back by hand", async () => {
  await set("good-4");
  const wait = ["--canary", "50%", "--then-wait", "1h", "--no-wait"];
  const { stdout } = await stack.murmur.run(["rekey", "--all", ...wait]);
  const rolloutId = /^Rekey started: (\S+)$/m.exec(stdout)?.[1] ?? "";
  for (const slug of ["a", "b"]) await sees(slug, "good-4");
  expect(await run("rollback", rolloutId)).toBe("Rolled back\n");
  for (const slug of ["a", "b"]) await sees(slug, "good-3");
  expect(read("c", "seen")).not.toContain("good-4");
  await eventually(async () => {
    expect(await run("rollouts", rolloutId)).toContain("rolled back; taken back by ");
  }, WAIT);
}, 360_000);
