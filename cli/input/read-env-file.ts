import { readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { LocalError } from "../errors";
import { type Terminal } from "../terminal";
import { type EnvFileEntry, EnvFileError, parseEnvFile } from "./env-file";
import { readStdin } from "./stdin";

const MAX_BYTES = 1024 * 1024;

/** The entries of a file, or of standard input for `-`. Throws LocalError that names the line. */
export async function readEnvFile(
  { stdin, cwd }: Pick<Terminal, "stdin" | "cwd">,
  path: string,
): Promise<EnvFileEntry[]> {
  const bytes = path === "-" ? await readStdin({ stdin }) : readFile(resolve(cwd, path), path);
  try {
    return parseEnvFile(bytes);
  } catch (error) {
    if (!(error instanceof EnvFileError)) throw error;
    throw new LocalError(`${nameOf(path)}, line ${error.line}: ${error.fault}`);
  }
}

/** What a message calls it. */
export function nameOf(path: string): string {
  return path === "-" ? "standard input" : path;
}

function readFile(absolute: string, path: string): Buffer {
  try {
    if (statSync(absolute).size > MAX_BYTES) throw new LocalError(`${path} holds more than 1 MiB`);
    return readFileSync(absolute);
  } catch (error) {
    if (error instanceof LocalError) throw error;
    const code = (error as NodeJS.ErrnoException).code ?? "unknown";
    throw new LocalError(`cannot read ${path} (${code})`);
  }
}
