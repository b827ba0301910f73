import { runCli } from "./cli";

/** A reader that had enough (`murmur ls | head -1`) is no failure. */
function ignoreClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== "EPIPE") throw error;
  process.exit(0);
}

process.stdout.on("error", ignoreClosedPipe);
process.stderr.on("error", ignoreClosedPipe);

void runCli(process.argv.slice(2), {
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
