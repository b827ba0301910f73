import type { Clock } from "../../lib/clock";
import type { HealthReporter } from "../../lib/grpc/health";
import type { Log } from "../../lib/log";
import type { Db } from "../../lib/postgres/db";
import { type CheckedKeyProvider, WrongKeyProvider } from "./keys/key-check";

export interface ReadinessDeps {
  pool: Db;
  provider: CheckedKeyProvider;
  health: HealthReporter;
  clock: Clock;
  log: Log;
}

/** The whole process and each of its services, as the health service names them. */
const NAMES = [
  "",
  "murmur.catalog.v1.SecretService",
  "murmur.catalog.v1.WorkspaceService",
  "murmur.catalog.v1.EncryptionService",
  "murmur.catalog.v1.EnvironmentService",
  "murmur.catalog.v1.VmService",
  "murmur.catalog.v1.DeliveryService",
];
const EVERY_MS = 1_000;
const PROBE_TIMEOUT_MS = 1_000;

/**
 * Says on the health service whether the catalog can do its job: PostgreSQL answers, and the key
 * provider was seen to be the right one. A key provider that goes away later changes nothing here,
 * as remembered data keys still serve. Throws, which ends the process, when it is the wrong one.
 */
export async function watchReadiness(deps: ReadinessDeps, signal: AbortSignal): Promise<void> {
  const { health, clock, log } = deps;
  let was: boolean | undefined;
  while (!signal.aborted) {
    const is = await isReady(deps);
    if (is !== was) log.info(is ? "can do its job" : "cannot do its job now");
    for (const name of NAMES) health.set(name, is);
    was = is;
    await clock.sleep(EVERY_MS, signal);
  }
  for (const name of NAMES) health.set(name, false);
}

async function isReady({ pool, provider, log }: ReadinessDeps): Promise<boolean> {
  try {
    await pool.query("select 1", [], { timeoutMs: PROBE_TIMEOUT_MS });
    await provider.check();
    return true;
  } catch (error) {
    if (error instanceof WrongKeyProvider) throw error;
    log.debug("not ready", { error });
    return false;
  }
}
