import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import * as dotenv from "dotenv";
import { cachedPart, findTool, runTool } from "../../../dev/parts/tools";
import { readWithDocker } from "./docker-reader";

const run = promisify(execFile);

/** A program of others that reads env files, and the form that it is meant to read. */
export interface EnvReader {
  name: string;
  form: "env" | "env.sh" | "env.json" | "env.docker";
  /** What the program makes of the file at `path`. */
  read(path: string): Promise<ReadonlyMap<string, Buffer>>;
}

const PYTHON_DOTENV = "1.2.1";
const TIMEOUT_MS = 60_000;
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;
/** What shells put in their environment by themselves. */
const SHELLS_OWN: ReadonlySet<string> = new Set(["PWD", "OLDPWD", "SHLVL", "_"]);
const PYTHON_READERS = join(__dirname, "python_readers.py");

/** The real parsers of every form. The first call gets what the machine lacks. */
export async function realEnvReaders(): Promise<EnvReader[]> {
  const [dash, bash, python, docker] = [
    await findTool("dash"),
    await findTool("bash"),
    await findTool("python"),
    await findTool("docker"),
  ];
  const pythonDotenv = await installPythonDotenv(python);
  const systemd = await systemdLibrary();
  return [
    shellReader("dash", dash, "env"),
    shellReader("bash", bash, "env"),
    shellReader("dash", dash, "env.sh"),
    shellReader("bash", bash, "env.sh"),
    {
      name: "dotenv",
      form: "env",
      read: (path) => Promise.resolve(toBytes(dotenv.parse(readFileSync(path)))),
    },
    {
      name: "dotenv's fast parser",
      form: "env",
      read: (path) => Promise.resolve(toBytes(dotenv.parse(readFileSync(path), { fast: true }))),
    },
    pythonReader("python-dotenv", "env", [python, "dotenv", pythonDotenv]),
    pythonReader("systemd", "env", [python, "systemd", "", systemd]),
    pythonReader("Python's json", "env.json", [python, "json", ""]),
    { name: "JSON.parse", form: "env.json", read: (path) => Promise.resolve(readJson(path)) },
    { name: "docker", form: "env.docker", read: (path) => readWithDocker(docker, path) },
  ];
}

/** Sources the file strictly (`-eu`) in an empty environment and shows what a child then gets. */
function shellReader(shell: string, program: string, form: "env" | "env.sh"): EnvReader {
  const source = form === "env" ? 'set -a; . "$1"; set +a' : '. "$1"';
  return {
    name: `${shell} sourcing ${form}`,
    form,
    async read(path) {
      const args = ["-euc", `${source}; exec env -0`, shell, path];
      const { stdout, stderr } = await run(program, args, {
        // Debian's bash takes a socket on its standard input for a remote login and reads bashrc,
        // unless it is told that it is a shell within a shell.
        env: { SHLVL: "1" },
        encoding: "buffer",
        timeout: TIMEOUT_MS,
        maxBuffer: MAX_OUTPUT_BYTES,
      });
      if (stderr.length > 0) throw new Error(`${shell} said: ${stderr.toString()}`);
      return parseNulSeparated(stdout);
    },
  };
}

function parseNulSeparated(output: Buffer): Map<string, Buffer> {
  const variables = new Map<string, Buffer>();
  for (let start = 0; start < output.length;) {
    const end = output.indexOf(0, start);
    const equals = output.indexOf("=", start);
    const name = output.toString("utf8", start, equals);
    if (!SHELLS_OWN.has(name)) variables.set(name, output.subarray(equals + 1, end));
    start = end + 1;
  }
  return variables;
}

type PythonCall = [python: string, kind: string, pythonPath: string, library?: string];

function pythonReader(name: string, form: EnvReader["form"], call: PythonCall): EnvReader {
  const [python, kind, pythonPath, library] = call;
  return {
    name,
    form,
    async read(path) {
      const args = [PYTHON_READERS, kind, path, ...(library ? [library] : [])];
      const { stdout } = await run(python, args, {
        env: { ...process.env, PYTHONPATH: pythonPath, PYTHONDONTWRITEBYTECODE: "1" },
        timeout: TIMEOUT_MS,
        maxBuffer: MAX_OUTPUT_BYTES,
      });
      const values = JSON.parse(stdout) as Record<string, string>;
      return new Map(
        Object.entries(values).map(([key, value]) => [key, Buffer.from(value, "base64")]),
      );
    },
  };
}

async function installPythonDotenv(python: string): Promise<string> {
  return cachedPart(`python-dotenv-${PYTHON_DOTENV}`, async (into) => {
    const flags = ["--quiet", "--no-deps", "--disable-pip-version-check", "--target", into];
    await runTool(
      python,
      ["-m", "pip", "install", ...flags, `python-dotenv==${PYTHON_DOTENV}`],
      into,
    );
  });
}

/** systemd's own code for EnvironmentFile, in the library that its programs share. */
async function systemdLibrary(): Promise<string> {
  await findTool("systemd");
  const triplets = readdirSync("/usr/lib").map((name) => `/usr/lib/${name}/systemd`);
  for (const folder of ["/usr/lib/systemd", ...triplets]) {
    const names = existsSync(folder) && statSync(folder).isDirectory() ? readdirSync(folder) : [];
    const library = names.find((name) => /^libsystemd-shared-.*\.so$/.test(name));
    if (library) return join(folder, library);
  }
  throw new Error("systemd is installed without libsystemd-shared");
}

function readJson(path: string): Map<string, Buffer> {
  const parsed = JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
  return toBytes(Object.fromEntries(Object.entries(parsed).filter(isVariable)));
}

function isVariable(entry: [string, unknown]): entry is [string, string] {
  return !entry[0].startsWith("_") && typeof entry[1] === "string";
}

function toBytes(values: Record<string, string>): Map<string, Buffer> {
  return new Map(Object.entries(values).map(([name, value]) => [name, Buffer.from(value)]));
}
