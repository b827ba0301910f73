import { execFile } from "node:child_process";
import { closeSync, openSync, readdirSync, readSync, writeFileSync } from "node:fs";
import { promisify } from "node:util";

/** Every form in which a value may lie around, as text: as it is, hexadecimal, base64 at any offset, bytes. */
export function formsOf(mark: string): string[] {
  const bytes = Buffer.from(mark);
  const hex = bytes.toString("hex");
  const base64 = [0, 1, 2].flatMap((offset) => {
    const text = Buffer.concat([Buffer.alloc(offset), bytes]).toString("base64");
    // Whatever stands before and behind the mark changes the ends only.
    const inner = text.slice(offset === 0 ? 0 : 4, -4);
    return [inner, inner.replaceAll("+", "-").replaceAll("/", "_")];
  });
  // As JSON and as the console show the bytes of a Buffer.
  const lists = [[...bytes].join(), hex.match(/../g)?.join(" ") ?? hex];
  return [...new Set([mark, hex, hex.toUpperCase(), ...lists, ...base64])];
}

/** Looks for marks in files, with grep: it shares no code with what it searches. */
export class LeakSearch {
  readonly #sinceSeconds = Math.floor(Date.now() / 1000) - 1;
  /** By process: the command line and environment that held no mark when it was last looked at. */
  readonly #clean = new Map<string, string>();

  /** `patterns` is a file of this test that is written here and left out of every search. */
  constructor(
    readonly forms: readonly string[],
    private readonly patterns: string,
  ) {
    writeFileSync(patterns, forms.map((form) => `${form}\n`).join(""), { mode: 0o600 });
  }

  /** Files below a directory that hold a mark. */
  inDirectory(directory: string): Promise<string[]> {
    return this.#grep("grep", ["-rlaF", "--devices=skip", "-f", this.patterns, directory]);
  }

  /** Files below a directory that were written since this search was made and hold a mark. */
  inNewFiles(directory: string): Promise<string[]> {
    const grep = ["grep", "-laF", "--devices=skip", "-f", this.patterns, "{}", "+"];
    const files = ["-xdev", "-type", "f", "-newermt", `@${this.#sinceSeconds}`];
    return this.#grep("find", [directory, ...files, "!", "-path", this.patterns, "-exec", ...grep]);
  }

  isIn(text: string): boolean {
    return this.forms.some((form) => text.includes(form));
  }

  /** Processes whose environment or command line holds a mark, agents' own ones left out. */
  inProcesses(): string[] {
    const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
    for (const pid of this.#clean.keys()) if (!pids.includes(pid)) this.#clean.delete(pid);
    return pids.flatMap((pid) => {
      const command = readProc(pid, "cmdline");
      const environment = readProc(pid, "environ");
      // Hundreds of processes, many times a second, of which hardly any is new.
      if (this.#clean.get(pid) === command + environment) return [];
      const isAgents = environment.includes("\0MURMUR_AGENT=");
      const isFound = this.isIn(command) || (!isAgents && this.isIn(environment));
      if (!isFound) this.#clean.set(pid, command + environment);
      return isFound ? [command.replaceAll("\0", " ")] : [];
    });
  }

  async #grep(command: string, args: string[]): Promise<string[]> {
    const options = { maxBuffer: 64 * 1024 * 1024 };
    // Ends with 1 when nothing was found, and with 2 when a file went away meanwhile.
    const { stdout } = await promisify(execFile)(command, args, options).catch(
      (error: unknown) => error as { stdout: string },
    );
    return stdout.split("\n").filter((path) => path !== "" && path !== this.patterns);
  }
}

/** Enough for any command line and environment: `execve` takes no more than 2 MiB of both. */
const space = Buffer.allocUnsafe(4 * 1024 * 1024);

/** Latin-1 keeps every byte; "" for a process that is gone or not ours to look at. */
function readProc(pid: string, file: string): string {
  try {
    // Not `readFileSync`, which takes new memory for each of thousands of small files a second.
    const descriptor = openSync(`/proc/${pid}/${file}`, "r");
    try {
      const text = space.toString("latin1", 0, readAll(descriptor));
      return file === "environ" ? `\0${text}` : text;
    } finally {
      closeSync(descriptor);
    }
  } catch {
    return "";
  }
}

function readAll(descriptor: number): number {
  let end = 0;
  for (;;) {
    const count = readSync(descriptor, space, end, space.length - end, null);
    if (count === 0) return end;
    end += count;
  }
}
