import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { installLayers } from "../install";

const PREBUILT = join(__dirname, "prebuilt", process.arch);

/** The object as it is committed, for this machine's processor. */
export const EXEC_OBJECT = join(PREBUILT, "murmur-exec.so");

/** What `environmentOf` and `run` give a program to live in. */
export interface Surroundings {
  /** MURMUR_DIR. */
  directory: string;
  /** MURMUR_GENERATION; undefined leaves the marker out. */
  generation: number | undefined;
  block?: Readonly<Record<string, string>>;
  layers?: string;
  input?: string;
}

/** The environment that an agent's program starts with when only this layer is on. */
export function environmentOf(at: Surroundings): Record<string, string> {
  const marker =
    at.generation === undefined
      ? {}
      : { MURMUR_DIR: at.directory, MURMUR_GENERATION: String(at.generation) };
  return {
    PATH: "/usr/local/bin:/usr/bin:/bin",
    LC_ALL: "C.UTF-8",
    MURMUR_LIVE: at.layers ?? "exec",
    LD_PRELOAD: EXEC_OBJECT,
    ...at.block,
    ...marker,
  };
}

export interface Run {
  pid: number;
  status: number | null;
  stdout: string;
  stderr: string;
}

/** Runs a program to its end. */
export function run(at: Surroundings, program: string, ...args: string[]): Run {
  const { pid, status, stdout, stderr } = spawnSync(program, args, {
    env: environmentOf(at),
    encoding: "utf8",
    timeout: 60_000,
    maxBuffer: 1 << 26,
    input: at.input ?? "",
  });
  return { pid, status, stdout, stderr };
}

/** Takes apart what `env -0` prints. */
export function parseBlock(text: string): Record<string, string> {
  const pairs = text.split("\0").filter((line) => line !== "");
  return Object.fromEntries(
    pairs.map((line) => {
      const at = line.indexOf("=");
      return [line.slice(0, at), line.slice(at + 1)];
    }),
  );
}

/** Of a block, the names that a test is about. */
export function pick(block: Record<string, string>, names: Iterable<string>) {
  const wanted = new Set(names);
  return Object.fromEntries(Object.entries(block).filter(([name]) => wanted.has(name)));
}

/** The layers as a daemon installs them: MURMUR_LIVE_DIR. */
export function installForTest(): { path: string; remove(): void } {
  const runDir = mkdtempSync(join(tmpdir(), "murmur-layers-"));
  const path = installLayers(join(__dirname, ".."), runDir);
  return { path, remove: () => rmSync(runDir, { recursive: true, force: true }) };
}
