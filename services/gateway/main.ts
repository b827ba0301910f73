import { exitOnBugs, run } from "../../lib/lifecycle";
import { createLog } from "../../lib/log";
import { loadGatewayConfig } from "./config";
import { startGateway } from "./start-gateway";

async function main(): Promise<void> {
  const config = loadGatewayConfig(process.env);
  const log = createLog("gateway", config.logLevel);
  exitOnBugs(log);
  const options = { log, graceMs: config.shutdownGraceMs };
  process.exit(await run("gateway", options, (scope) => startGateway(config, scope, log)));
}

void main().catch((error: unknown) => {
  process.stderr.write(`murmur gateway: ${error instanceof Error ? error.message : "failed"}\n`);
  process.exitCode = 1;
});
