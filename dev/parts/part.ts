import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { withPrivileges, type RunAs } from "./privileges";

/** A program of others (PostgreSQL, Kafka, OpenBao) that runs on this machine for us. */
export interface Part {
  readonly pid: number;
  /** Resolves when the process is gone, with its signal or exit code. */
  readonly exited: Promise<string>;
  /** Asks it to stop, and makes it stop when it does not in time. Calling twice is the same. */
  stop(): Promise<void>;
  /** SIGKILL, as in a crash; its data stay. */
  kill(): Promise<void>;
}

export interface SpawnPartOptions {
  name: string;
  command: [string, ...string[]];
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  /** Receives standard output and error. */
  logFile: string;
  runAs?: RunAs | undefined;
  /** What a clean stop is asked for with. */
  stopSignal?: NodeJS.Signals;
  /** What it gets when we die; the stop signal when absent. */
  deathSignal?: NodeJS.Signals;
  stopTimeoutMs?: number;
  /** Polled until true; the part is ready then. */
  isReady: (pid: number) => boolean | Promise<boolean>;
  readyTimeoutMs?: number;
}

/** A part did not come up; the message ends with the last lines of its log. */
export class PartFailed extends Error {}

const POLL_MS = 20;

/** Starts a part and waits until it is ready; throws PartFailed when it is not in time. */
export async function spawnPart(options: SpawnPartOptions): Promise<Part> {
  const { stopSignal = "SIGTERM", stopTimeoutMs = 10_000 } = options;
  mkdirSync(dirname(options.logFile), { recursive: true });
  const log = openSync(options.logFile, "a", 0o600);
  const deathSignal = options.deathSignal ?? stopSignal;
  const [command, args] = withPrivileges(options.command, options.runAs, deathSignal);
  const child = spawn(command, args, {
    cwd: options.cwd ?? "/",
    env: options.env ?? process.env,
    stdio: ["ignore", log, log],
  });
  closeSync(log);
  const part = toPart(child, stopSignal, stopTimeoutMs);
  await waitUntilReady(options, part);
  return part;
}

function toPart(child: ChildProcess, stopSignal: NodeJS.Signals, stopTimeoutMs: number): Part {
  let isGone = false;
  const exited = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("exit", (code, signal) => resolve(signal ?? `exit code ${code ?? "unknown"}`));
  }).finally(() => (isGone = true));
  const end = async (signal: NodeJS.Signals) => {
    if (!isGone) child.kill(signal);
    const timer = setTimeout(() => child.kill("SIGKILL"), stopTimeoutMs);
    await exited;
    clearTimeout(timer);
  };
  let stopping: Promise<void> | undefined;
  return {
    pid: child.pid ?? 0,
    exited,
    stop: () => (stopping ??= end(stopSignal)),
    kill: () => end("SIGKILL"),
  };
}

async function waitUntilReady(options: SpawnPartOptions, part: Part): Promise<void> {
  const { readyTimeoutMs = 90_000, name } = options;
  const endMs = performance.now() + readyTimeoutMs;
  let how: string | undefined;
  void part.exited.then((text) => (how = text));
  while (!(await options.isReady(part.pid))) {
    if (how === undefined && performance.now() < endMs) {
      await delay(POLL_MS);
      continue;
    }
    await part.kill();
    const why = how === undefined ? `is not ready after ${readyTimeoutMs} ms` : `ended: ${how}`;
    throw new PartFailed(`${name} ${why}\n${tailOf(options.logFile)}`);
  }
}

function tailOf(file: string): string {
  return readFileSync(file, "utf8").trimEnd().split("\n").slice(-15).join("\n");
}
