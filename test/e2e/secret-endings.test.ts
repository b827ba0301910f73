import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "../harness/eventually";
import { startTestStack, type TestStack } from "../harness/stack";

const WAIT = { timeoutMs: 60_000 };
/** Says over and over what it sees, as one process. */
const PROGRAM = `
echo $$ >pid
while :; do echo "\${LEAKED-none} \${KEPT-none}" >now.tmp && mv now.tmp now; sleep 0.05; done
`;
const SLUGS = ["one", "two"];

let stack: TestStack;
let directory: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "murmur-endings-"));
  stack = await startTestStack();
  await set("LEAKED", "leaked-1");
  await set("KEPT", "kept-1");
  for (const slug of SLUGS) {
    const place = join(directory, slug);
    mkdirSync(place);
    writeFileSync(join(place, "program.sh"), PROGRAM);
    await stack.murmur.run(["spawn", "--cwd", place, slug, "--", "bash", "program.sh"]);
  }
  for (const slug of SLUGS) await sees(slug, "leaked-1 kept-1");
}, 360_000);

afterAll(async () => {
  await stack.stop();
  rmSync(directory, { recursive: true, force: true });
}, 360_000);

const set = (name: string, value: string) => stack.murmur.run(["secret", "set", name], value);
const read = (slug: string, file: string) =>
  readFileSync(join(directory, slug, file), "utf8").trim();
const sees = (slug: string, words: string) =>
  eventually(() => expect(read(slug, "now")).toBe(words), WAIT);

test("revoke unsets a secret in every running process that has it, and restarts none", async () => {
  const pids = SLUGS.map((slug) => read(slug, "pid"));
  const { stdout } = await stack.murmur.run(["secret", "revoke", "LEAKED", "--now"]);
  expect(stdout).toBe('Revoked secret "LEAKED"\n');
  for (const slug of SLUGS) await sees(slug, "none kept-1");
  expect(SLUGS.map((slug) => read(slug, "pid"))).toEqual(pids);
  expect((await stack.murmur.run(["rollouts"])).stdout).toContain("secret LEAKED was revoked");
  expect((await stack.murmur.run(["secret", "ls"])).stdout).toBe("KEPT\n");
}, 360_000);

test("a forced destroy takes a version from its holders, whose sets it makes undeliverable", async () => {
  await set("KEPT", "kept-2");
  await stack.murmur.run(["rekey", "two"]);
  await sees("two", "none kept-2");
  const refused = await stack.murmur.tryRun(["secret", "destroy", "KEPT@1"]);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain('version 1 of secret "KEPT" is in use');

  const { stdout } = await stack.murmur.run(["secret", "destroy", "--force", "KEPT@1"]);
  expect(stdout).toBe('Destroyed version 1 of secret "KEPT"\n');
  await sees("one", "none kept-2");
  expect((await stack.murmur.run(["secret", "history", "KEPT"])).stdout).toMatch(
    /^1 .* destroyed$/m,
  );

  // The current one goes from all.
  await stack.murmur.run(["secret", "destroy", "--force", "KEPT@2"]);
  for (const slug of SLUGS) await sees(slug, "none none");
}, 360_000);
