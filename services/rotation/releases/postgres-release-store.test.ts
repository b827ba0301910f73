import { randomUUID } from "node:crypto";
import { withTransaction } from "../../../lib/postgres/transaction";
import { eventually } from "../../../test/harness/eventually";
import { createTestDatabase, type TestDatabase } from "../../../test/harness/postgres";
import { createPostgresReleaseStore } from "./postgres-release-store";

describe("agents of which the catalog has to be told", () => {
  let database: TestDatabase;
  const agentId = randomUUID();

  const addAgent = async (id: string, slug: string) => {
    await database.pool.query(`insert into rotation.trees values ('t1', $1)`, [id]);
    await database.pool.query(
      `insert into rotation.agents (tenant_id, agent_id, workspace, slug, path, root_id, vm_id,
         vm_name, developer, command, working_directory, request_hash, binding, launch_mac, phase, desired,
         release_due)
       values ('t1', $1, 'w', $2, $2, $1, 'vm', 'vm-1', 'd', '{}', '', '', '', '', 'running', 1,
         true)`,
      [id, slug],
    );
  };

  beforeAll(async () => {
    database = await createTestDatabase("rotation");
    await addAgent(agentId, "a");
  });
  afterAll(() => database.drop());

  it("are due again at once when they changed while the catalog was told", async () => {
    const store = createPostgresReleaseStore(database.pool);
    const claimed = await store.claim(10);
    expect(claimed).toMatchObject([{ agentId, applied: 0n }]);
    expect(await store.claim(10)).toEqual([]);
    await database.pool.query("update rotation.agents set applied = 1, release_due = true");
    await store.settle(claimed.map((it) => ({ ...it, floor: 0n })));
    const again = await store.claim(10);
    expect(again).toMatchObject([{ agentId, applied: 1n }]);
    await store.settle(again.map((it) => ({ ...it, floor: 1n })));
    expect(await store.claim(10)).toEqual([]);
  });

  it("are settled in the order of their ids, as everybody locks them", async () => {
    const [low, high] = ["00000000", "ffffffff"].map((start) => start + randomUUID().slice(8));
    if (!low || !high) throw new Error("two starts give two ids");
    // In the table, too, the higher comes first.
    await addAgent(high, "high");
    await addAgent(low, "low");
    const store = createPostgresReleaseStore(database.pool);
    const claimed = await store.claim(10);
    const released = [high, low].flatMap((id) => claimed.filter((it) => it.agentId === id));
    expect(released).toHaveLength(2);
    const lock = "select from rotation.agents where agent_id = $1 for update";
    let settling: Promise<void> | undefined;
    await withTransaction(database.pool, async (tx) => {
      await tx.query(lock, [low]);
      settling = store.settle(released.map((it) => ({ ...it, floor: 0n })));
      await eventually(async () => {
        // Not in the transaction, which would see the same activity each time.
        const { rows } = await database.pool.query(
          `select from pg_stat_activity where wait_event_type = 'Lock'
             and datname = current_database() and query like '%rotation.agents%'`,
        );
        expect(rows).toHaveLength(1);
      });
      // What waits for the first holds nothing that others wait for.
      await tx.query(`${lock} nowait`, [high]);
    });
    await settling;
  });
});
