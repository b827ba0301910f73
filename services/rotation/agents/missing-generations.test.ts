import { randomUUID } from "node:crypto";
import { generateSigningKey } from "../../../lib/identity/signing-key";
import { silentLog } from "../../../lib/log";
import { FakeClock } from "../../../test/fakes/fake-clock";
import { createTestDatabase, type TestDatabase } from "../../../test/harness/postgres";
import { createAgentBindings } from "./agent-bindings";
import { createMissingGenerations } from "./missing-generations";
import { createPostgresAgentStore } from "./store/postgres-agent-store";
import { postgresAgentWriter } from "./store/postgres-agent-writer";

const bindings = createAgentBindings({ signingKey: generateSigningKey("murmur-rotation") });
const REFUSED = "fetch: the generation is not available";

describe("agents whose generation is gone", () => {
  let database: TestDatabase;
  beforeEach(async () => {
    database = await createTestDatabase("rotation");
  });
  afterEach(() => database.drop());

  const plant = async (tenantId: string, count: number, failed = 2) => {
    for (let i = 0; i < count; i++) {
      const id = randomUUID();
      const bound = {
        tenantId,
        id,
        vmId: "vm",
        workspace: "w",
        developer: "d",
        parentId: undefined,
        expectsSpawnSecrets: false,
      };
      await database.pool.query(`insert into rotation.trees values ($1, $2)`, [tenantId, id]);
      await database.pool.query(
        `insert into rotation.agents (tenant_id, agent_id, workspace, slug, path, root_id, vm_id,
           vm_name, developer, command, working_directory, request_hash, binding, launch_mac, phase, desired,
           failed_generation, failed_reason, failed_at)
         values ($1, $2, 'w', $3, $3, $2, 'vm', 'vm-1', 'd', '{}', '', '', $6, '', 'running', 2, $4, $5,
           clock_timestamp())`,
        [tenantId, id, id.slice(0, 8), failed, REFUSED, bindings.macOf(bound)],
      );
    }
  };
  const find = (limit: number, not: string[] = []) =>
    createPostgresAgentStore(database.pool).findRefused(REFUSED, limit, not);

  it("are served by turns, so that many of one tenant do not keep out another's", async () => {
    await plant("loud", 5);
    await plant("quiet", 1);
    const tenants = (await find(2)).map(({ tenantId }) => tenantId);
    expect(tenants).toEqual(["loud", "quiet"]);
  });

  it("are not those of whom a generation was refused that nobody wants", async () => {
    await plant("t1", 1, 9);
    expect(await find(10)).toEqual([]);
  });

  it("take no place in a round while they are left alone, and are looked at again later", async () => {
    await plant("t1", 51);
    const clock = new FakeClock();
    const asked: string[] = [];
    const missing = createMissingGenerations({
      pool: database.pool,
      agents: createPostgresAgentStore(database.pool),
      writer: postgresAgentWriter,
      clock,
      bindings,
      log: silentLog,
      catalog: {
        snapshot(agents) {
          asked.push(...agents.map(({ id }) => id));
          return Promise.reject(new Error("cannot be made"));
        },
      },
      rollouts: {
        rolledBackTo: () => Promise.resolve(undefined),
        lockOpenOf: () => Promise.resolve([]),
        recordGeneration: () => Promise.resolve(),
      },
      announcer: { record: () => Promise.resolve([]), deliver: () => undefined },
      signals: { changed: () => undefined },
    });
    await missing.giveOnce();
    expect(new Set(asked).size).toBe(50);
    await missing.giveOnce();
    expect(new Set(asked).size).toBe(51);
    expect(await missing.giveOnce()).toBe(0);
    await clock.advance(31_000);
    expect(await missing.giveOnce()).toBe(50);
  });
});
