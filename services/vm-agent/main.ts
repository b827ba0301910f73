import { join } from "node:path";
import { exitOnBugs, run } from "../../lib/lifecycle";
import { createLog } from "../../lib/log";
import { loadVmAgentConfig } from "./config";
import { startVmAgent } from "./vm-agent";

async function main(): Promise<void> {
  const config = loadVmAgentConfig(process.env);
  const log = createLog("vm-agent", config.logLevel);
  exitOnBugs(log);
  const options = { log, graceMs: config.shutdownGraceMs };
  process.exit(
    await run("vm-agent", options, (scope) =>
      startVmAgent(
        { config, environment: process.env, log, layersFrom: join(__dirname, "live-env") },
        scope,
      ),
    ),
  );
}

main().catch((error: unknown) => {
  process.stderr.write(`murmur vm-agent: ${error instanceof Error ? error.message : "failed"}\n`);
  process.exit(1);
});
