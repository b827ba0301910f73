import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { installLayers } from "../install";

const runDir = mkdtempSync(join(tmpdir(), "murmur layers-"));
afterAll(() => rmSync(runDir, { recursive: true, force: true }));

/** PYTHONPATH of the layer as a daemon installs it, without byte code. */
export const LAYER = `${installLayers(dirname(__dirname), runDir)}/python.zip`;

/** A Python of this machine. */
export interface Python {
  version: string;
  path: string;
}

/** Every Python that this machine has, by version; the one on PATH at least. */
export function findPythons(): Python[] {
  const versions = join(homedir(), ".pyenv", "versions");
  const installed = existsSync(versions) ? readdirSync(versions) : [];
  const paths = [...installed.map((name) => join(versions, name, "bin", "python")), "python3"];
  const ask = "import sys; print('%d.%d' % sys.version_info[:2]); print(sys.executable)";
  const found = new Map<string, Python>();
  for (const path of paths) {
    const [version, executable] = spawnSync(path, ["-c", ask], { encoding: "utf8" })
      .stdout.trim()
      .split("\n");
    if (version && executable) found.set(version, { version, path: executable });
  }
  return [...found.values()].sort((a, b) => minorOf(a) - minorOf(b));
}

/** Every Python that the layer works in; all of them take minutes, `few` are the ones that differ. */
export function supportedPythons(few = false): Python[] {
  const supported = findPythons().filter(({ version }) => version !== "2.7");
  // Audit hooks came with 3.8; the others are the ends.
  const differ = [supported[0], supported.at(-1), supported.find((one) => minorOf(one) === 8)];
  return few ? supported.filter((one) => differ.includes(one)) : supported;
}

/** 12 of Python 3.12. */
export function minorOf({ version }: Python): number {
  return Number(version.split(".")[1]);
}

/** What `start` and `run` give the program to live in. */
export interface Surroundings {
  /** MURMUR_DIR. */
  directory: string;
  /** MURMUR_GENERATION; undefined leaves the marker out. */
  generation: number | undefined;
  block?: Record<string, string>;
  layers?: string;
  /** PYTHONPATH of the layer, when it is not LAYER. */
  layer?: string;
  /** The program's own PYTHONPATH. */
  path?: string[];
  cwd?: string;
}

/** The environment that an agent's program starts with. */
export function environmentOf(at: Surroundings): Record<string, string> {
  const marker =
    at.generation === undefined
      ? {}
      : { MURMUR_DIR: at.directory, MURMUR_GENERATION: String(at.generation) };
  return {
    PATH: "/usr/local/bin:/usr/bin:/bin",
    LC_ALL: "C.UTF-8",
    ...at.block,
    ...marker,
    MURMUR_LIVE: at.layers ?? "exec,bash,node,python",
    PYTHONPATH: [at.layer ?? LAYER, ...(at.path ?? [])].join(":"),
    PYTHONDONTWRITEBYTECODE: "1",
  };
}

export interface Run {
  status: number | null;
  stdout: string;
  stderr: string;
}

/** Runs a program to its end. */
export function run(python: Python, args: string[], at: Surroundings): Run {
  const options = { env: environmentOf(at), encoding: "utf8", timeout: 60_000 } as const;
  const { status, stdout, stderr } = spawnSync(python.path, args, {
    ...options,
    ...(at.cwd === undefined ? {} : { cwd: at.cwd }),
  });
  return { status, stdout, stderr };
}

/** A Python program that does what the test says, a step at a time. */
export interface PythonProgram {
  pid: number;
  /** Runs statements in the one namespace of the program; returns what they leave in `result`. */
  step(statements: string): Promise<unknown>;
  /** Everything that it wrote to its standard error. */
  stderr(): string;
  /** Ends its input and waits for its exit code. */
  end(): Promise<number | null>;
}

const DRIVER = `
import json, os, sys
space = {"os": os, "sys": sys}
for line in sys.stdin:
    space["result"] = None
    exec(json.loads(line), space)
    print(json.dumps(space["result"]), flush=True)
`;

/** Starts a program; `end` it. */
export function start(python: Python, at: Surroundings, options: string[] = []): PythonProgram {
  const child = spawn(python.path, [...options, "-c", DRIVER], {
    env: environmentOf(at),
    stdio: "pipe",
    ...(at.cwd === undefined ? {} : { cwd: at.cwd }),
  });
  const errors: Buffer[] = [];
  child.stderr.on("data", (chunk: Buffer) => errors.push(chunk));
  const stderr = () => Buffer.concat(errors).toString();
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const exited = new Promise<number | null>((resolve) => child.once("close", resolve));
  return {
    pid: child.pid ?? 0,
    async step(statements) {
      child.stdin.write(`${JSON.stringify(statements)}\n`);
      const line = await lines.next();
      if (line.done === true) throw new Error(`the program ended: ${stderr()}`);
      return JSON.parse(line.value) as unknown;
    },
    stderr,
    end() {
      child.stdin.end();
      return exited;
    },
  };
}
