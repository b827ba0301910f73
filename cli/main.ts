import { writeSync } from "node:fs";
import { basename } from "node:path";
import { runCli } from "./cli";

/** Docker finds a helper by its name only: a link of this name leads here. */
const DOCKER_HELPER = "docker-credential-murmur";
const STDERR = 2;

/** A reader that had enough (`murmur ls | head -1`) is no failure; a full disk is. */
function endUnwritten(error: NodeJS.ErrnoException): never {
  if (error.code === "EPIPE") process.exit(0);
  try {
    writeSync(STDERR, `murmur: the output could not be written: ${error.code ?? "unknown"}\n`);
  } catch {
    // Nobody can be told.
  }
  process.exit(1);
}

process.stdout.on("error", endUnwritten);
process.stderr.on("error", endUnwritten);

const [, program = "", ...words] = process.argv;
const typed = basename(program) === DOCKER_HELPER ? ["credential", "docker", ...words] : words;
void runCli(typed, {
  env: process.env,
  cwd: process.cwd(),
  // Few commands read it, and opening it takes time.
  get stdin() {
    return process.stdin;
  },
  stdout: process.stdout,
  stderr: process.stderr,
  onInterrupt: (listener) => {
    process.on("SIGINT", listener);
    return { takeBack: () => process.off("SIGINT", listener) };
  },
}).then((code) => {
  process.exitCode = code;
});
