import { EventEmitter, once } from "node:events";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import type { Pool } from "../../../lib/postgres/db";
import { createPool } from "../../../lib/postgres/pool";
import { startCatalog, type TestCatalog } from "../../../test/harness/catalog";
import { createCatalogTenant, type CatalogTenant } from "../../../test/harness/catalog-tenant";
import { eventually } from "../../../test/harness/eventually";
import { createTenantKeys } from "../keys/tenant-keys";
import { createPostgresKeyStore } from "../store/postgres-key-store";
import { createPostgresSnapshotStore } from "../store/postgres-snapshot-store";
import { createPostgresVersionStore } from "../store/postgres-version-store";
import type { SnapshotStore } from "../store/snapshot-store";
import { createOpenSets } from "./open-sets";
import { createSealedValues } from "./sealed-values";
import { createSetDigests } from "./set-digests";
import { createSnapshots } from "./snapshots";

let catalog: TestCatalog;
let pool: Pool;
let acme: CatalogTenant;
beforeAll(async () => {
  catalog = await startCatalog();
  pool = createPool({ url: catalog.database.url, applicationName: "snapshotter", max: 2 });
});
beforeEach(async () => {
  acme = await createCatalogTenant(catalog);
  await acme.set("A", "1");
});
afterAll(async () => {
  await pool.close();
  await catalog.stop();
});

/** A snapshot by another replica that has read what to pin, and commits when it is told to. */
async function heldSnapshot(): Promise<{ agentId: string; finish: () => Promise<unknown> }> {
  const gate = new EventEmitter();
  const [hasRead, mayWrite] = [once(gate, "read"), once(gate, "write")];
  const store = createPostgresSnapshotStore();
  const held: SnapshotStore = {
    ...store,
    async read(tx, query) {
      const facts = await store.read(tx, query);
      gate.emit("read");
      await mayWrite;
      return facts;
    },
  };
  const keys = createTenantKeys({
    ...{ store: createPostgresKeyStore(pool), provider: catalog.keyProvider, cacheMs: 60_000 },
  });
  const values = createSealedValues(createPostgresVersionStore(), 1_000_000);
  const digests = createSetDigests(createOpenSets(values, 1_000_000));
  const take = createSnapshots({ pool, store: held, keys, digests });
  const agent = { ...acme.agent(), rollbackTo: undefined, expectsSpawnSecrets: false };
  const caller = { tenantId: acme.id, kind: "service", id: "rotation", peer: "" } as const;
  const taken = take(caller, [agent], "");
  await Promise.race([hasRead, taken]);
  return {
    agentId: agent.agentId,
    finish: () => {
      gate.emit("write");
      return taken;
    },
  };
}

/** Starts a call and waits until it is over or waits for a lock; its outcome, whichever it is. */
async function begin(call: () => Promise<unknown>): Promise<() => Promise<unknown>> {
  let isOver = false;
  const outcome = call()
    .catch((error: unknown) => error)
    .finally(() => (isOver = true));
  await eventually(async () => {
    const { rows } = await catalog.database.pool.query(
      `select from pg_locks where locktype = 'advisory' and not granted
         and database = (select oid from pg_database where datname = current_database())`,
    );
    expect(isOver || rows.length > 0).toBe(true);
  });
  return () => outcome;
}

describe("a snapshot that has read a secret and has not committed", () => {
  it("is waited for by a revocation, which then names its agent", async () => {
    const { agentId, finish } = await heldSnapshot();
    const revoked = await begin(() => acme.owner.secrets.revokeSecret({ name: "A" }));
    await finish();
    expect(await revoked()).toEqual({ holders: [{ agentId, workspace: "backend" }] });
  });

  it("is waited for by a destruction, which then finds the version in use", async () => {
    await acme.set("B", "b");
    const { agentId, finish } = await heldSnapshot();
    await acme.set("A", "2");
    const destroyed = await begin(() =>
      acme.owner.secrets.destroySecretVersion({ name: "A", version: 1n, force: false }),
    );
    await finish();
    expect(await destroyed()).toMatchObject({
      reason: ErrorReason.ERROR_REASON_SECRET_VERSION_IN_USE,
    });
    expect(await acme.values({ ...acme.agent(), agentId }, 1n)).toEqual({ A: "1", B: "b" });
  });
});
