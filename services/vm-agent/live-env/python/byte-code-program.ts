import { execFile } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, realpathSync, renameSync, writeFileSync } from "node:fs";
import { setPriority } from "node:os";
import { join } from "node:path";

const NAMES = ["python3", ...Array.from({ length: 9 }, (_, i) => `python3.${i + 7}`)];
const COMPILE_MS = 60_000;
/** Behind whatever else the machine does, and yet done on a busy one. */
const NICENESS = 5;

/**
 * Prints the cache tag, then byte code that no time stamp or source can outdate: of the modules that
 * a start takes in one file, since each file costs; and the archive with byte code behind what it has,
 * when it is wanted and not there yet.
 */
const COMPILE = `
import base64, importlib.util, io, json, marshal, sys, warnings
from importlib._bootstrap_external import MAGIC_NUMBER

def printable(data):
    return base64.b64encode(data).decode()

def byte_code(sources, content):
    return MAGIC_NUMBER + b"\\1\\0\\0\\0" + importlib.util.source_hash(sources) + marshal.dumps(content)

def compile_all(names):
    sources, codes = b"", []
    for name in names:
        path = layers + "/python/" + name + ".py"
        with open(path, "rb") as file:
            source = file.read()
        sources += source
        codes.append(compile(source, path, "exec", dont_inherit=True, optimize=2))
    return printable(byte_code(sources, tuple(codes)))

def grown_archive():
    import zipfile
    with open(layers + "/python.zip", "rb") as file:
        archive = io.BytesIO(file.read())
    warnings.simplefilter("ignore")
    before = len(archive.getvalue())
    with zipfile.ZipFile(archive, "a") as zip:
        for name, optimize in ("murmur_env", 0), ("sitecustomize", 2):
            source = zip.read(name + ".py")
            path = layers + "/python.zip/" + name + ".py"
            pyc = byte_code(source, compile(source, path, "exec", dont_inherit=True, optimize=optimize))
            if name + ".pyc" not in zip.namelist() or zip.read(name + ".pyc") != pyc:
                zip.writestr(zipfile.ZipInfo(name + ".pyc"), pyc)
    return printable(archive.getvalue()) if len(archive.getvalue()) > before else None

layers = sys.argv[1]
codes = {names[-1]: compile_all(names) for names in (["murmur_files", "murmur_live"], ["murmur_changes"], ["murmur_children"])}
print(json.dumps([sys.implementation.cache_tag, codes, grown_archive() if sys.argv[2] == "first" else None]))
`;

/**
 * Puts byte code beside the Python layer of the installed `layers` for every Python from 3.7 on that
 * `searchPath` has: agents cannot write there, and compiling at each start takes 5 ms. What is found
 * by name has room for the byte code of one Python, which is the first; others take its source. Runs
 * those Pythons as the daemon's own user, since what they print runs in every agent, and with less
 * claim to the processor. One that fails goes without. After an abort nothing runs and nothing is
 * written any more once this resolves.
 */
export async function compileByteCode(
  layers: string,
  searchPath: string | undefined,
  signal: AbortSignal,
): Promise<void> {
  const into = join(layers, "python", "__pycache__");
  let isFirst = true;
  for (const python of findInterpreters(searchPath)) {
    if (signal.aborted) return;
    const compiled = await compile(python, { layers, searchPath, isFirst }, signal);
    if (!compiled) continue;
    isFirst = false;
    makeDirectory(into);
    const [tag, codes, archive] = compiled;
    for (const [name, code] of Object.entries(codes)) put(join(into, `${name}.${tag}.pyc`), code);
    if (archive !== null) put(join(layers, "python.zip"), archive);
  }
}

/** In one step: programs start meanwhile. */
function put(path: string, content: string): void {
  writeFileSync(`${path}.tmp`, Buffer.from(content, "base64"));
  chmodSync(`${path}.tmp`, 0o444);
  renameSync(`${path}.tmp`, path);
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

type Compiled = [tag: string, codes: Record<string, string>, archive: string | null];

function compile(
  python: string,
  at: { layers: string; searchPath: string | undefined; isFirst: boolean },
  signal: AbortSignal,
): Promise<Compiled | undefined> {
  const argv = ["-I", "-S", "-c", COMPILE, at.layers, at.isFirst ? "first" : ""];
  // A version manager's python3 is a script, which looks for programs.
  const env = { PATH: at.searchPath };
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
