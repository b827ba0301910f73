import { createPostgresKeyStore } from "../../services/catalog/store/postgres-key-store";
import { createTenantKeys } from "../../services/catalog/keys/tenant-keys";
import type { EnvironmentOpener } from "../../services/catalog/environments/environment-opener";
import { createEnvironments } from "../../services/catalog/environments/environments";
import type { OpenedEnvironment } from "../../services/catalog/domain/environment";
import { systemClock } from "../../lib/clock";
import type { TestCatalog } from "./catalog";

/** Reads generations as the catalog would deliver them, without a session. */
export interface EnvironmentReader {
  opener: EnvironmentOpener;
  /** The open set, or the word for why it is refused. */
  open(
    tenantId: string,
    vmId: string,
    agentId: string,
    generation: bigint,
  ): Promise<OpenedEnvironment | string>;
  /** Its names and values; throws when it is refused. */
  values(
    tenantId: string,
    vmId: string,
    agentId: string,
    generation: bigint,
  ): Promise<Record<string, string>>;
}

/** With memories of its own, as another replica has. */
export function createEnvironmentReader(
  catalog: Pick<TestCatalog, "database" | "keyProvider">,
): EnvironmentReader {
  const { pool } = catalog.database;
  const keys = createTenantKeys({
    store: createPostgresKeyStore(pool),
    provider: catalog.keyProvider,
    cacheMs: 60_000,
  });
  const { opener } = createEnvironments({ pool, keys, clock: systemClock });
  const open: EnvironmentReader["open"] = async (tenantId, vmId, agentId, generation) => {
    const [handle] = await opener.find(tenantId, vmId, [{ agentId, generation }]);
    const outcome = await handle!.open();
    return outcome.kind === "opened" ? outcome.environment : outcome.refusal;
  };
  return {
    opener,
    open,
    async values(...generation) {
      const opened = await open(...generation);
      if (typeof opened === "string") throw new Error(`refused: ${opened}`);
      return Object.fromEntries(
        opened.variables.map(({ name, value }) => [name, value.expose().toString("utf8")]),
      );
    },
  };
}
