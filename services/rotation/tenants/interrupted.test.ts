import { randomBytes } from "node:crypto";
import { SecretDelivery } from "../../../gen/murmur/catalog/v1/secrets";
import { systemClock } from "../../../lib/clock";
import { unavailable } from "../../../lib/errors";
import { openChannel } from "../../../lib/grpc/client";
import { silentLog } from "../../../lib/log";
import type { Connection, Pool } from "../../../lib/postgres/db";
import { sensitive } from "../../../lib/sensitive";
import { connectVm, spawnRequest } from "../../../test/fakes/scripted-vm";
import { startCatalog, type TestCatalog } from "../../../test/harness/catalog";
import { API_KEY } from "../../../test/harness/credentials";
import { startRotation, type TestRotation } from "../../../test/harness/rotation";
import { createPostgresAgentStore } from "../agents/store/postgres-agent-store";
import { postgresAgentWriter } from "../agents/store/postgres-agent-writer";
import { createCatalogClient, type CatalogClient } from "../catalog/catalog-client";
import { postgresPersonStore } from "../people/store/postgres-person-store";
import { postgresEvidenceStore } from "../vm-sync/store/postgres-vm-store";
import { deleteTenant, findDeletion } from "./delete-tenant";
import { createDeletions } from "./lead-deletions";
import { postgresDeletionStore } from "./store/postgres-deletion-store";

/** When the replica dies: steps that it may still take. */
let left = Infinity;
let catalog: TestCatalog;
let rotation: TestRotation;

beforeAll(async () => {
  catalog = await startCatalog();
  rotation = await startRotation({ catalog });
});
afterAll(async () => {
  await rotation.stop();
  await catalog.stop();
});

/** Nothing that a dead process would do comes to be done. */
function step(): void {
  left -= 1;
  if (left < 0) throw unavailable("the replica is dead");
}

function mortal(pool: Pool): Pool {
  return {
    async connect(): Promise<Connection> {
      const connection = await pool.connect();
      return {
        query: async (...args: Parameters<Connection["query"]>) => {
          step();
          return connection.query(...args);
        },
        // A connection that is lost in a transaction takes it back.
        release: () => {
          connection.release(true);
        },
      };
    },
    query: async (...args: Parameters<Pool["query"]>) => {
      step();
      return pool.query(...args);
    },
    close: () => pool.close(),
  };
}

/** Dies before the catalog hears of it, or before its answer is heard. */
function mortalCatalog(client: CatalogClient): CatalogClient {
  const around = async <T>(call: () => Promise<T>) => {
    step();
    const answer = await call();
    step();
    return answer;
  };
  return {
    ...client,
    endTenant: (tenantId) => around(() => client.endTenant(tenantId)),
    purgeTenant: (tenantId) => around(() => client.purgeTenant(tenantId)),
  };
}

it("a deletion goes on after a replica died before any of its steps", async () => {
  const tenantId = "broken-off";
  const owner = catalog.developer({ tenantId });
  const { agents, credentials } = rotation.clients(owner);
  const { secrets, workspaces } = catalog.clients(owner);
  const plain = { createdAt: undefined, expectedVersion: undefined, requestId: "" };
  await secrets.setSecret({
    ...{ name: "A", plaintextValue: Buffer.from("v"), description: undefined, ...plain },
    delivery: SecretDelivery.SECRET_DELIVERY_ENVIRONMENT,
  });
  await workspaces.setWorkspace({
    ...{ name: "backend", description: undefined, secretRefs: undefined, vms: [] },
    expectedRevision: undefined,
  });
  await credentials.createCredential(API_KEY);
  const machine = await catalog.joinVm(tenantId, "vm-1");
  const client = rotation.clients(machine.credentials).vmSync;
  const vm = await connectVm({ client, isObedient: true });
  await agents.spawnAgent(spawnRequest({ workspace: "backend", slug: "one" }));
  // It serves, and does nothing by itself: the test is the only one that leads deletions on.
  rotation.interrupt();

  const channel = openChannel({ address: catalog.address });
  const live = createCatalogClient({ channel, key: catalog.rotationKey });
  const pool = mortal(rotation.pool);
  const deps = {
    ...{ pool, deletions: postgresDeletionStore, people: postgresPersonStore },
    ...{ catalog: mortalCatalog(live), clock: systemClock, log: silentLog },
    ...{ agents: createPostgresAgentStore(pool), writer: postgresAgentWriter },
    ...{ evidence: postgresEvidenceStore, signals: { changed: () => undefined } },
    announcer: { record: () => Promise.resolve([]), deliver: () => undefined },
    streams: { vms: () => [], close: () => undefined },
    endedVms: { isPurged: () => Promise.resolve(false) },
  };
  const requestId = sensitive(randomBytes(24).toString("base64url"));
  const caller = { tenantId, kind: "developer", id: "github/alice", peer: "" } as const;
  const wish = { confirmTenant: tenantId, requestId };
  const asked = { ...deps, pool: rotation.pool };
  const stageNow = async () => {
    const all = { ...deps, pool: rotation.pool };
    return findDeletion(all, requestId).then(
      ({ stage }) => stage,
      () => "none",
    );
  };
  const passed: Record<string, number> = {};
  for (let steps = 0; (await stageNow()) === "none"; steps++) {
    left = steps;
    await deleteTenant(deps, caller, wish).catch(() => undefined);
    passed["none"] = steps;
  }
  const leader = createDeletions(deps);
  for (let stage = await stageNow(), steps = 0; stage !== "done"; steps++) {
    left = Infinity;
    await asked.pool.query(
      `update rotation.tenant_deletions set look_after = '-infinity', purge_after = case
         when exists (select from rotation.agents where tenant_id = $1 and not kill_requested)
         then 'infinity' else '-infinity'::timestamptz end where tenant_id = $1`,
      [tenantId],
    );
    left = steps;
    await leader.lookOnce().catch(() => undefined);
    left = Infinity;
    const next = await stageNow();
    passed[stage] = steps;
    if (next !== stage) [stage, steps] = [next, -1];
  }
  vm.close();
  channel.close();
  // Each of them was broken off before every one of its steps.
  expect(Object.keys(passed)).toEqual(["none", "asked", "ending", "purging"]);
  for (const steps of Object.values(passed)) expect(steps).toBeGreaterThan(3);
  for (const [db, schema] of [
    [catalog.database.pool, "catalog.secret_versions"],
    [catalog.database.pool, "catalog.data_keys"],
    [rotation.database.pool, "rotation.agents"],
    [rotation.database.pool, "rotation.people"],
  ] as const)
    expect(await db.query(`select from ${schema} where tenant_id = $1`, [tenantId])).toMatchObject({
      rowCount: 0,
    });
  // Asked for once, however often it was tried.
  const { rows } = await rotation.database.pool.query<{ action: string }>(
    `select action from rotation.audit where object_id = $1 and tenant_id = '' order by id`,
    [tenantId],
  );
  expect(rows).toEqual([{ action: "tenant.delete" }, { action: "tenant.purge" }]);
}, 60_000);
