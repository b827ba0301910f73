import { exitOnBugs, run } from "../../lib/lifecycle";
import { createLog } from "../../lib/log";
import { loadCatalogConfig } from "./config";
import { startCatalog } from "./start-catalog";

async function main(): Promise<void> {
  const config = loadCatalogConfig(process.env);
  const log = createLog("catalog", config.logLevel);
  exitOnBugs(log);
  const options = { log, graceMs: config.shutdownGraceMs };
  process.exit(await run("catalog", options, (scope) => startCatalog(config, scope, log)));
}

void main().catch((error: unknown) => {
  process.stderr.write(`murmur catalog: ${error instanceof Error ? error.message : "failed"}\n`);
  process.exitCode = 1;
});
