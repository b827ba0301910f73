import { withTransaction } from "../../../lib/postgres/transaction";
import type { ScriptedVm } from "../../../test/fakes/scripted-vm";
import { eventually } from "../../../test/harness/eventually";
import { startFleet, type Fleet } from "../../../test/harness/fleet";
import { readFleetState } from "./fleet-state";

describe("the state of the fleet", () => {
  let fleet: Fleet;
  let vm: ScriptedVm;

  beforeAll(async () => {
    fleet = await startFleet();
    vm = await fleet.connect(fleet.machine("vm-1"));
  });

  afterAll(() => fleet.stop());

  const read = () => readFleetState(fleet.rotation.pool);

  it("counts who is behind and what waits, and says how long", async () => {
    const calm = { agents: 0, vms: 1, vmsAway: 0, rolloutsOpen: 0 };
    await eventually(async () => expect(await read()).toMatchObject(calm));
    const { agentId } = await fleet.spawn("measured");
    await eventually(() => expect(vm.desired.get(agentId)?.generation).toBe(1n));
    vm.ack(agentId);
    await eventually(async () =>
      expect(await read()).toMatchObject({ agents: 1, agentsBehind: 0 }),
    );
    await fleet.rekey("measured");
    const waiting = await read();
    expect(waiting).toMatchObject({ agentsBehind: 1, rolloutsOpen: 1, oldestEventSeconds: 0 });
    expect(waiting.oldestRolloutSeconds).toBeGreaterThan(0);
    // In one transaction: the replica beats each second, and waits for its row meanwhile.
    const later = await withTransaction(fleet.rotation.pool, async (tx) => {
      for (const [table, column] of [
        ["vms", "last_seen_at"],
        ["replicas", "beat_at"],
      ])
        await tx.query(`update rotation.${table} set ${column} = ${column} - interval '1 hour'`);
      return readFleetState(tx);
    });
    expect(later).toMatchObject({ vms: 1, vmsAway: 1 });
    await eventually(() => expect(vm.desired.get(agentId)?.generation).toBe(2n));
    vm.ack(agentId);
    await eventually(async () =>
      expect(await read()).toMatchObject({
        ...{ agentsBehind: 0, rolloutsOpen: 0, oldestRolloutSeconds: 0 },
      }),
    );
  });

  it("shows events that wait for Kafka, and a writer that holds the outbox up", async () => {
    await fleet.rotation.pool.query(
      `insert into rotation.outbox_publisher (name, holder, lease_until, system_identifier)
       values ('kafka', gen_random_uuid(), now(), 0)`,
    );
    expect((await read()).oldestEventSeconds).toBeGreaterThan(0);
    const writer = await fleet.rotation.pool.connect();
    try {
      await writer.query("begin");
      await writer.query("select pg_current_xact_id()");
      expect((await read()).oldestWriterSeconds).toBeGreaterThan(0);
    } finally {
      await writer.query("rollback");
      writer.release();
    }
  });
});
