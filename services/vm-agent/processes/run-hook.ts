import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { type Readable } from "node:stream";
import { type Clock } from "../../../lib/clock";
import { type ProcessIdentity, readProcess } from "../linux/proc";
import { type AgentUser } from "./agent";
import { BoundedOutput } from "./bounded-output";
import { givingUpRights } from "./launch-shim";
import { EXEC_SCRIPT } from "./shim-script";

/** A command that is run beside an agent, with its rights and in its environment. */
export interface HookRequest {
  argv: readonly string[];
  /** The file that the environment is read from, `<agent's directory>/..data/env.sh`. */
  envFile: string;
  /** Absent: the user's home, else `/`. */
  cwd: string | undefined;
  user: AgentUser;
  /** `agentEnvironment`: what the environment's file comes on top of. */
  environment: Record<string, string>;
  timeoutMs: number;
}

/** How a hook ended. */
export type HookEnd =
  | { kind: "code"; code: number }
  | { kind: "signal"; signal: NodeJS.Signals }
  | { kind: "timeout" }
  /** The signal of the caller aborted. */
  | { kind: "stopped" };

export interface HookResult {
  end: HookEnd;
  /** The first 64 KiB of what it wrote to its standard streams; may hold values. */
  output: Buffer;
  isCut: boolean;
}

export interface HookDeps {
  clock: Clock;
  signal: AbortSignal;
  /** Called with the leader of the hook's session before anything of the hook runs in it. */
  onStart: (leader: ProcessIdentity) => void;
}

const MAX_OUTPUT_BYTES = 64 * 1024;
const GRACE_MS = 2_000;
/** For what is still in the pipes when the hook has ended; what it left running may hold them open. */
const DRAIN_MS = 250;
const SHELL = "/bin/sh";

/**
 * Leads the hook's session and waits for it, so that a hook that ends its parent does not end the
 * daemon. It goes on once the daemon has noted who it is.
 */
const GUARD = `read -r go || exit 125; "$@" </dev/null; status=$?; exit $status`;

/**
 * Runs a hook in a session and group of its own, to its end or its deadline; then the whole group
 * is ended. What it leaves running in time may go on. Throws what the system says when it cannot be
 * started.
 */
export async function runHook(request: HookRequest, deps: HookDeps): Promise<HookResult> {
  const { argv, envFile, cwd, user, environment } = request;
  const command = [SHELL, "-c", EXEC_SCRIPT, "murmur-exec", envFile, cwd ?? "", ...argv];
  const args = ["-c", GUARD, "murmur-hook", ...givingUpRights(user), ...command];
  const guard = spawn(SHELL, args, {
    cwd: "/",
    env: environment,
    detached: true,
    stdio: ["pipe", "pipe", "pipe"],
  });
  const output = new BoundedOutput(MAX_OUTPUT_BYTES, deps.clock);
  const streams: Readable[] = [guard.stdout, guard.stderr];
  for (const stream of streams) output.take(stream);
  guard.stdin.on("error", () => undefined); // It has ended already, as its exit tells.
  await once(guard, "spawn");
  const exited = once(guard, "exit") as Promise<[number | null, NodeJS.Signals | null]>;
  const leader = identityOf(guard);
  try {
    if (leader) deps.onStart(leader);
    guard.stdin.end("go\n");
    const end = await endOf(guard, exited, request.timeoutMs, deps);
    const timer = new AbortController();
    await Promise.race([output.closed, deps.clock.sleep(DRAIN_MS, timer.signal)]);
    timer.abort();
    return { end, ...output.read() };
  } finally {
    for (const stream of streams) stream.destroy();
    guard.stdin.destroy();
  }
}

/** Ends what an earlier daemon left running of a hook, if that still is its process. */
export function endHook(leader: ProcessIdentity): void {
  if (readProcess(leader.pid)?.startTime === leader.startTime) signalGroup(leader.pid, "SIGKILL");
}

async function endOf(
  guard: ChildProcess,
  exited: Promise<[number | null, NodeJS.Signals | null]>,
  timeoutMs: number,
  { clock, signal }: HookDeps,
): Promise<HookEnd> {
  const timer = new AbortController();
  const late = clock.sleep(timeoutMs, AbortSignal.any([timer.signal, signal]));
  const status = await Promise.race([exited, late]);
  timer.abort();
  if (status) return toEnd(status);
  if (guard.pid !== undefined) {
    signalGroup(guard.pid, "SIGTERM");
    const grace = new AbortController();
    await Promise.race([exited, clock.sleep(GRACE_MS, grace.signal)]);
    grace.abort();
    // Also when the guard is gone: others of the group may have outlived the first signal.
    signalGroup(guard.pid, "SIGKILL");
  }
  await exited;
  return { kind: signal.aborted ? "stopped" : "timeout" };
}

function toEnd([code, signal]: [number | null, NodeJS.Signals | null]): HookEnd {
  return signal === null ? { kind: "code", code: code ?? 0 } : { kind: "signal", signal };
}

function identityOf({ pid }: ChildProcess): ProcessIdentity | undefined {
  const info = pid === undefined ? undefined : readProcess(pid);
  return info && { pid: info.pid, startTime: info.startTime };
}

function signalGroup(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(-pid, name);
  } catch {
    // Nobody is left in it.
  }
}
