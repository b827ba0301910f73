import * as fs from "node:fs";
import { join } from "node:path";
import {
  agentOwner,
  createTestRunDir,
  expectedSet,
  generationNames,
  seenSet,
  strayNames,
  type TestRunDir,
} from "../../../test/harness/env-files";
import { envSetOf } from "../../../test/harness/env-sets";
import { type EnvFiles } from "./env-files";
import { render, type RenderedSet } from "./render";

const AGENT = "agent-1";

let runDir: TestRunDir;
let files: EnvFiles;
let directory: string;

beforeEach(() => {
  runDir = createTestRunDir();
  files = runDir.start();
  directory = files.directoryOf(AGENT);
  files.swap(setOf(1n), agentOwner);
});

afterEach(() => {
  runDir.remove();
});

function setOf(generation: bigint): RenderedSet {
  const history = { generation: 0n, key: Buffer.alloc(16), entries: [] };
  return render(envSetOf([`value of ${generation}`], { generation }), {
    directory: `/run/murmur/agents/${AGENT}`,
    history,
  });
}

function stage(generation: bigint) {
  const staged = files.stage(setOf(generation), agentOwner);
  if (!staged) throw new Error("it should have been staged");
  return staged;
}

const pageOf = () => fs.readFileSync(join(directory, "page")).readBigUInt64LE();
const names = (): string[] => fs.readdirSync(directory).sort();

test("a staged set is not in force, and nobody but the daemon can enter it", () => {
  const { name } = stage(2n);
  expect(seenSet(directory)).toEqual(expectedSet(setOf(1n)));
  expect(pageOf()).toBe(1n);
  const stat = fs.statSync(join(directory, name));
  expect({ mode: stat.mode & 0o777, uid: stat.uid }).toEqual({
    mode: 0o700,
    uid: process.geteuid?.(),
  });
});

test("put in force, it stands as a swap would have left it", () => {
  const result = files.putInForce(stage(2n));
  expect(result?.isPageWritten).toBe(true);
  expect(result?.directory).toBe(fs.realpathSync(join(directory, "..data")));
  expect(seenSet(directory)).toEqual(expectedSet(setOf(2n)));
  expect(pageOf()).toBe(2n);
  expect(strayNames(directory)).toEqual([]);
  expect(files.verify(AGENT, agentOwner, setOf(2n))).toEqual({ state: "whole" });
});

test("it counts as none of the generations that are kept", () => {
  for (const generation of [2n, 3n]) files.swap(setOf(generation), agentOwner);
  const staged = stage(4n);
  files.prune(AGENT);
  expect(generationNames(directory)).toHaveLength(4);
  files.putInForce(staged);
  files.prune(AGENT);
  const kept = generationNames(directory).map((name) => name.split("-")[0]);
  expect(kept.sort()).toEqual(["..g2", "..g3", "..g4"]);
});

test("one that nobody wants leaves nothing", () => {
  const before = names();
  files.unstage(stage(2n));
  expect(names()).toEqual(before);
  const forgotten = stage(2n);
  files.remove(AGENT);
  files.unstage(forgotten);
  expect(files.putInForce(forgotten)).toBeUndefined();
  expect(fs.existsSync(directory)).toBe(false);
});

test("a daemon that died with one staged cleans it up at its next start", () => {
  const before = names();
  stage(2n);
  const next = runDir.start();
  expect(next.sweep(new Set([AGENT])).removedLeftovers).toHaveLength(2);
  expect(names()).toEqual(before);
});

test("nothing is staged for an agent whose directory was not seen whole", () => {
  expect(runDir.start().stage(setOf(2n), agentOwner)).toBeUndefined();
});

test("one that was damaged meanwhile gives way to a whole swap", () => {
  const staged = stage(2n);
  fs.rmSync(join(directory, staged.name), { recursive: true });
  expect(files.putInForce(staged)).toBeUndefined();
  expect(seenSet(directory)).toEqual(expectedSet(setOf(1n)));
  files.swap(setOf(2n), agentOwner);
  expect(seenSet(directory)).toEqual(expectedSet(setOf(2n)));
  expect(strayNames(directory)).toEqual([]);
});
