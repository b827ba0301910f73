import { execFile } from "node:child_process";
import { existsSync, mkdirSync, realpathSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const MODULES = ["sitecustomize", "murmur_live", "murmur_files", "murmur_env"];
const NAMES = ["python3", ...Array.from({ length: 9 }, (_, i) => `python3.${i + 7}`)];
const COMPILE_MS = 10_000;

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
 * Puts byte code beside the Python layer for every Python from 3.7 on that `searchPath` has: agents
 * cannot write there, and compiling at each start takes 5 ms. Runs those Pythons as the daemon's
 * own user, since what they print runs in every agent. One that fails goes without.
 */
export async function compileByteCode(
  directory: string,
  searchPath: string | undefined,
): Promise<void> {
  const into = join(directory, "__pycache__");
  mkdirSync(into, { recursive: true, mode: 0o755 });
  for (const python of findInterpreters(searchPath)) {
    const [tag, codes] = (await compile(python, directory)) ?? [];
    for (const [name, code] of Object.entries(codes ?? {})) {
      const path = join(into, `${name}.${tag}.pyc`);
      writeFileSync(`${path}.tmp`, Buffer.from(code, "base64"), { mode: 0o444 });
      renameSync(`${path}.tmp`, path);
    }
  }
}

function findInterpreters(searchPath = ""): Set<string> {
  const places = searchPath.split(":").filter((place) => place.startsWith("/"));
  const paths = places.flatMap((place) => NAMES.map((name) => join(place, name)));
  return new Set(paths.filter((path) => existsSync(path)).map((path) => realpathSync(path)));
}

type Compiled = [tag: string, codes: Record<string, string>];

function compile(python: string, directory: string): Promise<Compiled | undefined> {
  const argv = ["-I", "-S", "-c", COMPILE, directory, ...MODULES];
  return new Promise((resolve) => {
    execFile(python, argv, { env: {}, cwd: "/", timeout: COMPILE_MS }, (error, stdout) => {
      try {
        resolve(error ? undefined : (JSON.parse(stdout) as Compiled));
      } catch {
        resolve(undefined);
      }
    });
  });
}
