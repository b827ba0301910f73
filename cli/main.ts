import { basename } from "node:path";
import { runCli } from "./cli";

/** Docker finds a helper by its name only: a link of this name leads here. */
const DOCKER_HELPER = "docker-credential-murmur";

/** A reader that had enough (`murmur ls | head -1`) is no failure. */
function ignoreClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== "EPIPE") throw error;
  process.exit(0);
}

process.stdout.on("error", ignoreClosedPipe);
process.stderr.on("error", ignoreClosedPipe);

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
