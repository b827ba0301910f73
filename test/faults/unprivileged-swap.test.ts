import { spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { agentOwner, seenSet } from "../harness/env-files";
import { type ChildProgram, compileChild } from "./child-program";
import { EXAMPLE_AGENT, exampleSet } from "./example-set";

let program: ChildProgram;
let base: string;

beforeAll(() => {
  program = compileChild("swap-child.ts");
  base = mkdtempSync("/dev/shm/murmur-unprivileged-");
  mkdirSync(join(base, "agents"), { mode: 0o711 });
  chownSync(join(base, "agents"), agentOwner.uid, agentOwner.gid);
  chownSync(base, agentOwner.uid, agentOwner.gid);
});

afterAll(() => {
  rmSync(base, { recursive: true });
  program.remove();
});

test("a daemon that is not root keeps files and directories for its own user", async () => {
  // It is told of another user, whom it could not give anything to.
  const args = [program.path, join(base, "agents"), "1", "1"];
  const child = spawn(process.execPath, args, {
    stdio: ["pipe", "ignore", "inherit"],
    ...(process.geteuid?.() === 0 ? agentOwner : {}),
  });
  child.stdin.end("1\n2\n");
  const [status] = (await once(child, "exit")) as [number];
  expect(status).toBe(0);
  const directory = join(base, "agents", EXAMPLE_AGENT);
  const seen = seenSet(directory);
  expect([...(seen?.keys() ?? [])].sort()).toEqual(
    exampleSet(2n)
      .files.map(({ path }) => path)
      .sort(),
  );
  for (const { mode, uid } of seen?.values() ?? []) {
    expect({ mode, uid }).toEqual({ mode: 0o400, uid: agentOwner.uid });
  }
  expect(lstatSync(directory).mode & 0o7777).toBe(0o750);
  expect(readFileSync(join(directory, "page")).readBigUInt64LE()).toBe(2n);
});
