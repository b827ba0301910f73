import { randomUUID } from "node:crypto";
import { createTestDatabase, type TestDatabase } from "../../../test/harness/postgres";
import { createPostgresReleaseStore } from "./postgres-release-store";

describe("agents of which the catalog has to be told", () => {
  let database: TestDatabase;
  const agentId = randomUUID();

  beforeAll(async () => {
    database = await createTestDatabase("rotation");
    await database.pool.query(`insert into rotation.trees values ('t1', $1)`, [agentId]);
    await database.pool.query(
      `insert into rotation.agents (tenant_id, agent_id, workspace, slug, path, root_id, vm_id,
         vm_name, developer, command, working_directory, request_hash, binding, launch_mac, phase, desired,
         release_due)
       values ('t1', $1, 'w', 'a', 'a', $1, 'vm', 'vm-1', 'd', '{}', '', '', '', '', 'running', 1,
         true)`,
      [agentId],
    );
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
});
