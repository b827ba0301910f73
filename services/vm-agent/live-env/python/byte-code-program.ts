import { execFile } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, realpathSync, renameSync, writeFileSync } from "node:fs";
import { setPriority } from "node:os";
import { join } from "node:path";

const MODULES = ["sitecustomize", "murmur_live", "murmur_files", "murmur_children", "murmur_env"];
const NAMES = ["python3", ...Array.from({ length: 9 }, (_, i) => `python3.${i + 7}`)];
const COMPILE_MS = 60_000;
/** Behind whatever else the machine does, and yet done on a busy one. */
const NICENESS = 5;

/** Prints the cache tag, then each module's byte code that no time stamp or source can outdate. */
const COMPILE = `
import base64, importlib.util, json, sys
from importlib._bootstrap_external import _code_to_hash_pyc
codes = {}
for name in sys.argv[2:]:
    path = sys.argv[1] + "/" + name + ".py"
    with open(path, "rb") as file:
        source = file.read()
    code = compile(source, path, "exec", dont_inherit=True)
    pyc = _code_to_hash_pyc(code, importlib.util.source_hash(source), False)
    codes[name] = base64.b64encode(pyc).decode()
print(json.dumps([sys.implementation.cache_tag, codes]))
`;

/**
 * Puts byte code beside the Python layer in `directory` for every Python from 3.7 on that
 * `searchPath` has: agents cannot write there, and compiling at each start takes 5 ms. Runs those
 * Pythons as the daemon's own user, since what they print runs in every agent, and with less
 * claim to the processor. One that fails goes without. After an abort nothing runs and nothing is
 * written any more once this resolves.
 */
export async function compileByteCode(
  directory: string,
  searchPath: string | undefined,
  signal: AbortSignal,
): Promise<void> {
  const into = join(directory, "__pycache__");
  for (const python of findInterpreters(searchPath)) {
    if (signal.aborted) return;
    const compiled = await compile(python, { directory, searchPath }, signal);
    if (!compiled) continue;
    makeDirectory(into);
    const [tag, codes] = compiled;
    for (const [name, code] of Object.entries(codes)) {
      const path = join(into, `${name}.${tag}.pyc`);
      writeFileSync(`${path}.tmp`, Buffer.from(code, "base64"));
      chmodSync(`${path}.tmp`, 0o444);
      renameSync(`${path}.tmp`, path);
    }
  }
}

/** Fails when the layer is gone. */
function makeDirectory(path: string): void {
  if (existsSync(path)) return;
  mkdirSync(path);
  chmodSync(path, 0o755);
}

function findInterpreters(searchPath = ""): Set<string> {
  const places = searchPath.split(":").filter((place) => place.startsWith("/"));
  const paths = places.flatMap((place) => NAMES.map((name) => join(place, name)));
  return new Set(paths.filter((path) => existsSync(path)).map((path) => realpathSync(path)));
}

type Compiled = [tag: string, codes: Record<string, string>];

function compile(
  python: string,
  { directory, searchPath }: { directory: string; searchPath: string | undefined },
  signal: AbortSignal,
): Promise<Compiled | undefined> {
  const argv = ["-I", "-S", "-c", COMPILE, directory, ...MODULES];
  // A version manager's python3 is a script, which looks for programs.
  const env = { PATH: searchPath };
  const options = { env, cwd: "/", timeout: COMPILE_MS, killSignal: "SIGKILL", signal } as const;
  return new Promise((resolve) => {
    let compiled: Compiled | undefined;
    const child = execFile(python, argv, options, (error, stdout) => {
      if (!error) compiled = parse(stdout);
    });
    // After an abort, the callback comes before the program has ended.
    child.once("close", () => resolve(signal.aborted ? undefined : compiled));
    if (child.pid !== undefined) stepBack(child.pid);
  });
}

function parse(text: string): Compiled | undefined {
  try {
    return JSON.parse(text) as Compiled;
  } catch {
    return undefined;
  }
}

function stepBack(pid: number): void {
  try {
    setPriority(pid, NICENESS);
  } catch {
    // It has ended.
  }
}
