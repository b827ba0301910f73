import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { freePort } from "./free-port";
import { PartFailed, spawnPart, type Part } from "./part";
import { findPostgresBinaries } from "./postgres-binaries";
import { isRoot, unprivilegedUser, withPrivileges, type RunAs } from "./privileges";

export interface PostgresOptions {
  /** Kept, and found again at the next start; without one a directory that `stop` removes. */
  directory?: string;
  /** The directory of another one that is stopped: a new one begins as its copy, password too. */
  copyOf?: string;
  /** A free one when absent. */
  port?: number;
  /** Commits are fsynced unless this is false; a crash of the process alone loses nothing then. */
  durable?: boolean;
  /** More settings, each `name=value`. */
  settings?: string[];
}

export interface PostgresPart extends Part {
  /** Of the superuser and its database, with the password. */
  readonly url: string;
  readonly port: number;
  readonly directory: string;
}

/** What lies where; `password` appears last, when the data directory is complete. */
interface Layout {
  root: string;
  data: string;
  password: string;
  log: string;
}

const START_TIMEOUT_MS = 90_000;
const NOT_DURABLE = ["fsync=off", "full_page_writes=off", "checkpoint_timeout=1h"];

/**
 * Starts PostgreSQL (binaries from npm) on loopback, creating its data directory when there is
 * none. After a kill the same directory recovers by itself. As root it runs under an unprivileged
 * user of the machine, since PostgreSQL refuses root.
 */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresPart> {
  const isThrowAway = options.directory === undefined;
  const root = resolve(options.directory ?? mkdtempSync(join(tmpdir(), "murmur-postgres-")));
  const layout = layoutOf(root);
  const binaries = findPostgresBinaries();
  mkdirSync(root, { recursive: true });
  if (isRoot()) chmodSync(root, 0o711);
  const runAs = unprivilegedUser(layout.data, binaries);
  if (!existsSync(layout.password)) {
    if (options.copyOf === undefined) initialise(layout, binaries, runAs);
    else copy(layoutOf(resolve(options.copyOf)), layout);
  }
  const port = options.port ?? (await freePort());
  const part = await startServer(layout, { binaries, runAs, port, options });
  const stop = async () => {
    await part.stop();
    if (isThrowAway) rmSync(root, { recursive: true, force: true });
  };
  const kill = async () => {
    // Backends that lose their parent would go on answering for a moment.
    const backends = childrenOf(part.pid);
    await part.kill();
    for (const pid of backends) killIfThere(pid);
  };
  const password = readFileSync(layout.password, "utf8");
  const url = `postgres://postgres:${password}@127.0.0.1:${port}/postgres`;
  return { ...part, stop, kill, port, directory: root, url };
}

function layoutOf(root: string): Layout {
  const [data, password, log] = ["data", "password", "postgres.log"].map((x) => join(root, x));
  return { root, data: data!, password: password!, log: log! };
}

function initialise(layout: Layout, binaries: string, runAs: RunAs | undefined): void {
  const unfinished = `${layout.password}.new`;
  rmSync(layout.data, { recursive: true, force: true });
  mkdirSync(layout.data, { mode: 0o700 });
  writeFileSync(unfinished, randomBytes(24).toString("hex"), { mode: 0o600 });
  if (runAs) for (const path of [layout.data, unfinished]) chownSync(path, runAs.uid, runAs.gid);
  const [command, args] = withPrivileges(
    [
      join(binaries, "initdb"),
      `--pgdata=${layout.data}`,
      "--username=postgres",
      "--auth=scram-sha-256",
      `--pwfile=${unfinished}`,
      "--encoding=UTF8",
      "--locale=C",
      "--no-sync",
      "--no-instructions",
    ],
    runAs,
  );
  execFileSync(command, args, { stdio: ["ignore", "ignore", "pipe"], cwd: "/" });
  renameSync(unfinished, layout.password);
}

function copy(from: Layout, to: Layout): void {
  rmSync(to.data, { recursive: true, force: true });
  // Owners and modes, too, which Node's own copy loses.
  execFileSync("cp", ["-a", from.data, to.data], { stdio: ["ignore", "ignore", "pipe"] });
  const unfinished = `${to.password}.new`;
  execFileSync("cp", ["-a", from.password, unfinished], { stdio: ["ignore", "ignore", "pipe"] });
  renameSync(unfinished, to.password);
}

/** Makes what `copyOf` takes, in a new directory that the caller removes. */
export function preparePostgres(): string {
  const root = mkdtempSync(join(tmpdir(), "murmur-postgres-"));
  if (isRoot()) chmodSync(root, 0o711);
  const layout = layoutOf(root);
  const binaries = findPostgresBinaries();
  initialise(layout, binaries, unprivilegedUser(layout.data, binaries));
  return root;
}

interface ServerOptions {
  binaries: string;
  runAs: RunAs | undefined;
  port: number;
  options: PostgresOptions;
}

async function startServer(layout: Layout, server: ServerOptions): Promise<Part> {
  const endMs = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    await waitForPredecessor(layout, endMs);
    try {
      return await spawnServer(layout, server);
    } catch (error) {
      // Backends of a killed server hold its shared memory for a moment longer.
      const isOver = performance.now() > endMs || !(error instanceof PartFailed);
      if (isOver || !error.message.includes("still in use")) throw error;
      await delay(100);
    }
  }
}

function spawnServer(layout: Layout, server: ServerOptions): Promise<Part> {
  const { durable = true, settings = [] } = server.options;
  const all = [
    "listen_addresses=127.0.0.1",
    `port=${server.port}`,
    "unix_socket_directories=",
    "max_connections=200",
    "io_method=sync",
    ...(durable ? [] : NOT_DURABLE),
    ...settings,
  ];
  const flags = all.flatMap((setting) => ["-c", setting]);
  return spawnPart({
    name: "PostgreSQL",
    command: [join(server.binaries, "postgres"), "-D", layout.data, ...flags],
    logFile: layout.log,
    runAs: server.runAs,
    // The fast shutdown: does not wait for clients to leave.
    stopSignal: "SIGINT",
    readyTimeoutMs: START_TIMEOUT_MS,
    isReady: (pid) => {
      const lines = readLockFile(layout);
      return Number(lines[0]) === pid && (lines[7] ?? "").trim() === "ready";
    },
  });
}

/** The lines of postmaster.pid: the first is the server's pid, the eighth its state. */
function readLockFile({ data }: Layout): string[] {
  try {
    return readFileSync(join(data, "postmaster.pid"), "utf8").split("\n");
  } catch {
    // Not there yet, or just removed.
    return [];
  }
}

/** A server whose parent was killed is still shutting down; another's pid says nothing. */
async function waitForPredecessor(layout: Layout, endMs: number): Promise<void> {
  if (process.platform !== "linux") return;
  for (;;) {
    const pid = Number(readLockFile(layout)[0] ?? 0);
    if (!pid) return;
    if (!isServerOf(layout, pid)) {
      rmSync(join(layout.data, "postmaster.pid"));
      return;
    }
    if (performance.now() > endMs) {
      throw new PartFailed(`PostgreSQL already runs on ${layout.data} as process ${pid}`);
    }
    await delay(50);
  }
}

function isServerOf({ data }: Layout, pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").includes(data);
  } catch {
    // The process is gone.
    return false;
  }
}

function childrenOf(pid: number): number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8");
    return text.split(" ").filter(Boolean).map(Number);
  } catch {
    // It is gone, or this is not Linux.
    return [];
  }
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has followed its parent already.
  }
}
