import { randomUUID } from "node:crypto";
import { createPool } from "../../../lib/postgres/pool";
import type { Pool } from "../../../lib/postgres/db";
import { startCatalog, type TestCatalog } from "../../../test/harness/catalog";
import { createCatalogTenant, type CatalogTenant } from "../../../test/harness/catalog-tenant";
import { createTenantKeys } from "../keys/tenant-keys";
import { createPostgresKeyStore } from "../store/postgres-key-store";
import { createPostgresSnapshotStore } from "../store/postgres-snapshot-store";
import { createPostgresVersionStore } from "../store/postgres-version-store";
import type { SnapshotFacts, SnapshotStore } from "../store/snapshot-store";
import { createOpenSets } from "./open-sets";
import { createSealedValues } from "./sealed-values";
import { createSetDigests } from "./set-digests";
import { createSnapshots } from "./snapshots";

const WRITERS = 16;
const SNAPSHOTTERS = 4;
const AGENTS = 3;
const ROUND_MS = 2_000;
/** A race is met by chance, and a slow machine meets fewer. */
const LONGEST_MS = 40_000;

let catalog: TestCatalog;
let pool: Pool;
beforeAll(async () => {
  catalog = await startCatalog();
  pool = createPool({ url: catalog.database.url, applicationName: "snapshotters", max: 8 });
});
afterAll(async () => {
  await pool.close();
  await catalog.stop();
});

/** The rule broken: what is pinned is read before the agents are locked. */
function readBeforeLock(store: SnapshotStore, tenantId: string, vmId: string): SnapshotStore {
  const read = new WeakMap<object, SnapshotFacts>();
  return {
    ...store,
    async lock(tx, tenant, agentIds) {
      const facts = await store.read(tx, {
        tenantId,
        agentIds,
        workspaces: ["backend"],
        vmIds: [vmId],
        developers: [],
        setIds: [],
        request: undefined,
      });
      read.set(tx, facts);
      return store.lock(tx, tenant, agentIds);
    },
    read: (tx) => Promise.resolve(read.get(tx)!),
  };
}

interface Seen {
  generations: number;
  /** How often a generation held an older version than one before. */
  regressed: number;
}

/** Writers and snapshots at once, until there is enough to see. */
async function regressions(
  tenant: CatalogTenant,
  store: SnapshotStore,
  isEnough: (seen: Seen) => boolean,
): Promise<Seen> {
  const keys = createTenantKeys({
    store: createPostgresKeyStore(pool),
    provider: catalog.keyProvider,
    cacheMs: 60_000,
  });
  const values = createSealedValues(createPostgresVersionStore(), 1_000_000);
  const take = createSnapshots({
    pool,
    store,
    keys,
    digests: createSetDigests(createOpenSets(values, 1_000_000)),
  });
  const caller = { tenantId: tenant.id, kind: "service", id: "rotation", peer: "" } as const;
  const agents = Array.from({ length: AGENTS }, () => ({
    ...tenant.agent(),
    rollbackTo: undefined,
    expectsSpawnSecrets: false,
  }));
  const round = async () => {
    const endMs = performance.now() + ROUND_MS;
    const until = async (work: () => Promise<unknown>) => {
      while (performance.now() < endMs) await work();
    };
    await Promise.all([
      ...Array.from({ length: WRITERS }, (_, writer) =>
        until(() => tenant.set(`S_${writer % 4}`, randomUUID())),
      ),
      ...Array.from({ length: SNAPSHOTTERS }, () => until(() => take(caller, agents, ""))),
    ]);
    return count(tenant.id);
  };
  const startMs = performance.now();
  for (;;) {
    const seen = await round();
    if (isEnough(seen) || performance.now() - startMs > LONGEST_MS) return seen;
  }
}

async function count(tenantId: string): Promise<Seen> {
  const { rows } = await catalog.database.pool.query<{ generations: bigint; regressed: bigint }>(
    `with pins as (
       select g.agent_id, g.generation, v.name, v.version
       from catalog.generations g
       join catalog.environment_sets s using (tenant_id, set_id)
       cross join jsonb_array_elements(s.refs) as ref
       join catalog.secret_versions v
         on v.tenant_id = g.tenant_id and v.id = (ref ->> 2)::uuid
       where g.tenant_id = $1
     ), steps as (
       select version < max(version) over (partition by agent_id, name order by generation
         rows between unbounded preceding and 1 preceding) as is_older from pins
     )
     select (select count(*) from catalog.generations where tenant_id = $1) as generations,
       (select count(*) from steps where is_older) as regressed`,
    [tenantId],
  );
  return { generations: Number(rows[0]!.generations), regressed: Number(rows[0]!.regressed) };
}

describe("with 16 writers and concurrent snapshots", () => {
  it("a later generation never holds an older version than an earlier one", async () => {
    const tenant = await createCatalogTenant(catalog);
    const store = createPostgresSnapshotStore();
    const seen = await regressions(tenant, store, ({ generations }) => generations > 50);
    expect(seen.generations).toBeGreaterThan(50);
    expect(seen.regressed).toBe(0);
  }, 120_000);

  it("that is seen to fail when versions are read before the lock", async () => {
    const tenant = await createCatalogTenant(catalog);
    const store = readBeforeLock(createPostgresSnapshotStore(), tenant.id, tenant.vm.id);
    const seen = await regressions(tenant, store, ({ regressed }) => regressed > 0);
    expect(seen.regressed).toBeGreaterThan(0);
  }, 120_000);
});
