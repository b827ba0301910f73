import { parseStackOptions, usageAskedFor, UsageError } from "./stack/options";
import { startStack } from "./stack/stack";
import { takeTour } from "./tour/tour";
import { tell } from "./tour/tell";

/** The main job on a throw-away stack; exits 0 only if all of it was seen. */
async function main(): Promise<number> {
  const args = process.argv.slice(2);
  const usage = usageAskedFor(args);
  if (usage) {
    process.stdout.write(usage);
    return 0;
  }
  const options = parseStackOptions(args, true);
  const say = (line: string) =>
    void (options.json ? process.stderr : process.stdout).write(`${line}\n`);
  const stack = await startStack(options, say);
  try {
    const tour = await takeTour(stack, say);
    if (options.json) process.stdout.write(`${JSON.stringify(tour.result)}\n`);
    else tell(tour, say);
    return tour.isSuccess ? 0 : 1;
  } finally {
    await stack.stop();
  }
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`demo: ${error instanceof Error ? error.message : "failed"}\n`);
    process.exit(error instanceof UsageError ? 2 : 1);
  },
);
