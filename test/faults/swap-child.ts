import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { createEnvFiles } from "../../services/vm-agent/env-set/env-files";
import { exampleSet } from "./example-set";

/**
 * Swaps one generation after the other in as it is told, one number a line: a stand-in for the
 * daemon that can be killed. Looks for two paths before and after, so that a trace shows where.
 */
function main([agentsDirectory = "", uid = "0", gid = "0"]: string[]): void {
  const files = createEnvFiles({ agentsDirectory, uid: process.geteuid?.() ?? 0 });
  const owner = { uid: Number(uid), gid: Number(gid) };
  createInterface({ input: process.stdin }).on("line", (line) => {
    const rendered = exampleSet(BigInt(line));
    existsSync("/begin-of-swap");
    files.swap(rendered, owner);
    existsSync("/end-of-swap");
    process.stdout.write("swapped\n");
  });
  process.stdout.write("ready\n");
}

main(process.argv.slice(2));
