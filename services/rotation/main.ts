import { exitOnBugs, run } from "../../lib/lifecycle";
import { createLog } from "../../lib/log";
import { loadRotationConfig } from "./config";
import { startRotation } from "./start-rotation";

async function main(): Promise<void> {
  const config = loadRotationConfig(process.env);
  const log = createLog("rotation", config.logLevel);
  exitOnBugs(log);
  const options = { log, graceMs: config.shutdownGraceMs };
  process.exit(await run("rotation", options, (scope) => startRotation(config, scope, log)));
}

void main().catch((error: unknown) => {
  process.stderr.write(`murmur rotation: ${error instanceof Error ? error.message : "failed"}\n`);
  process.exitCode = 1;
});
