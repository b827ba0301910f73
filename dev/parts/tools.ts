import { execFileSync, spawn, spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { isRoot } from "./privileges";

/** A program that must be on this machine, and the Debian package that brings it. */
interface Tool {
  command: string;
  debianPackage: string;
  what: string;
}

const TOOLS = {
  java: { command: "java", debianPackage: "default-jre-headless", what: "Java 17 or newer" },
  mvn: { command: "mvn", debianPackage: "maven", what: "Maven" },
  python: { command: "python3", debianPackage: "python3-pip", what: "Python 3 with pip" },
  dash: { command: "dash", debianPackage: "dash", what: "dash" },
  bash: { command: "bash", debianPackage: "bash", what: "bash" },
  systemd: { command: "systemctl", debianPackage: "systemd", what: "systemd" },
  docker: { command: "docker", debianPackage: "docker.io", what: "the docker command" },
  curl: { command: "curl", debianPackage: "curl", what: "curl" },
  strace: { command: "strace", debianPackage: "strace", what: "strace" },
  go: { command: "go", debianPackage: "golang-go", what: "Go" },
  gcc: { command: "gcc", debianPackage: "build-essential", what: "gcc" },
} satisfies Record<string, Tool>;

export type ToolName = keyof typeof TOOLS;

const OLDEST_JAVA = 17;
const INSTALL_TIMEOUT_MS = 8 * 60_000;
const APT_RETRY_MS = 1_000;

/**
 * The path of a tool. When it is missing, and we are root on a machine with apt-get, its Debian
 * package is installed and that is said; otherwise this throws, naming what to install.
 */
export async function findTool(name: ToolName): Promise<string> {
  const tool = TOOLS[name];
  if (!isUsable(name)) await install(tool);
  const path = isUsable(name);
  if (!path) throw new Error(`${tool.what} is needed: install it, and see that it is on the PATH`);
  return path;
}

/**
 * The directory `.test-parts/<name>` of the repository, filled by `fill` the first time. It appears
 * whole, so runs beside each other and runs that were killed do no harm.
 */
export async function cachedPart(
  name: string,
  fill: (directory: string) => Promise<void>,
): Promise<string> {
  const directory = join(repositoryRoot(), ".test-parts", name);
  if (existsSync(directory)) return directory;
  const unfinished = `${directory}.${process.pid}`;
  mkdirSync(unfinished, { recursive: true });
  try {
    await fill(unfinished);
    try {
      renameSync(unfinished, directory);
    } catch (error) {
      // Another run may have been a moment faster.
      if (!existsSync(directory)) throw error;
    }
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
  return directory;
}

/** Runs a command to its end; throws with what it printed when it fails or takes too long. */
export async function runTool(command: string, args: string[], cwd: string): Promise<void> {
  const child = spawn(command, args, { cwd, stdio: ["ignore", "pipe", "pipe"] });
  const output: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => output.push(text));
  }
  const timer = setTimeout(() => child.kill("SIGKILL"), INSTALL_TIMEOUT_MS);
  const end = await new Promise<number | string | null>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("close", (code, signal) => resolve(code ?? signal));
  });
  clearTimeout(timer);
  if (end === 0) return;
  throw new Error(
    `${command} ${args.join(" ")} ended with ${end}\n${output.join("").slice(-2000)}`,
  );
}

/** Says on standard error what takes long or changes the machine. */
export function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

export function repositoryRoot(): string {
  for (let at = __dirname; at !== dirname(at); at = dirname(at)) {
    if (existsSync(join(at, "package.json"))) return at;
  }
  throw new Error("no package.json above this program: run it from a clone");
}

async function install({ debianPackage, what }: Tool): Promise<void> {
  const aptGet = onPath("apt-get");
  if (!isRoot() || !aptGet) {
    throw new Error(`${what} is needed: install the package ${debianPackage}, or its like`);
  }
  say(`${what} is missing: installing the Debian package ${debianPackage}`);
  await apt(aptGet, ["update", "-q"]);
  await apt(aptGet, ["install", "-y", "-q", "--no-install-recommends", debianPackage]);
}

/** Only one may do such a thing at a time: whoever finds it locked waits for the other. */
async function apt(aptGet: string, args: string[]): Promise<void> {
  const endMs = performance.now() + INSTALL_TIMEOUT_MS;
  for (;;) {
    try {
      await runTool(aptGet, args, "/");
      return;
    } catch (error) {
      const isLocked = error instanceof Error && error.message.includes("Could not get lock");
      if (!isLocked || performance.now() > endMs) throw error;
      await delay(APT_RETRY_MS);
    }
  }
}

/** The tool's path, when it is there and new enough. */
function isUsable(name: ToolName): string | undefined {
  const path = onPath(TOOLS[name].command);
  if (!path) return undefined;
  if (name === "java" && javaVersion(path) < OLDEST_JAVA) return undefined;
  if (name === "python" && !succeeds(path, ["-m", "pip", "--version"])) return undefined;
  return path;
}

function javaVersion(path: string): number {
  // It answers on standard error: openjdk version "17.0.15" 2025-04-15
  const { stderr } = spawnSync(path, ["-version"], { encoding: "utf8" });
  return Number(/version "(\d+)/.exec(stderr)?.[1] ?? 0);
}

function succeeds(command: string, args: string[]): boolean {
  try {
    execFileSync(command, args, { stdio: "ignore" });
    return true;
  } catch {
    // Failing is the answer.
    return false;
  }
}

function onPath(command: string): string | undefined {
  const directories = (process.env["PATH"] ?? "").split(delimiter);
  return directories.map((at) => join(at, command)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    // Not there, or not ours to run.
    return false;
  }
}
