import { randomUUID } from "node:crypto";
import fc from "fast-check";
import type { Db } from "../../../../lib/postgres/db";
import { withTransaction } from "../../../../lib/postgres/transaction";
import { eventually } from "../../../../test/harness/eventually";
import { createTestDatabase, type TestDatabase } from "../../../../test/harness/postgres";
import { isAckCurrent, raiseApplied, targetsSatisfiedBy } from "../../protocol";
import type { AppliedAck } from "../domain/evidence";
import { postgresEvidenceStore as store } from "./postgres-vm-store";

const LIFE = { bootId: "boot", incarnation: 3n, incarnationName: "third" };

describe("evidence in the database", () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createTestDatabase("rotation");
    await database.pool.query(
      `insert into rotation.vms (tenant_id, vm_id, name, key_thumbprint, boot_id, incarnation,
         incarnation_number, last_contact)
       values ('t1', 'vm', 'vm-1', 'key', 'boot', 'third', 3, 'stream')`,
    );
  });
  afterAll(() => database.drop());

  const fingerprintOf = (generation: bigint) => Buffer.alloc(32, Number(generation));

  /** An agent on the VM with generations 1 to 9, and one rollout for each of the targets. */
  const insertAgent = async (applied: bigint, targets: readonly bigint[]) => {
    const id = randomUUID();
    const { pool } = database;
    await pool.query(`insert into rotation.trees values ('t1', $1)`, [id]);
    await pool.query(
      `insert into rotation.agents (tenant_id, agent_id, workspace, slug, path, root_id, vm_id,
         vm_name, developer, command, working_directory, request_hash, binding, launch_mac, phase, desired, applied)
       values ('t1', $1, 'w', $2, $2, $1, 'vm', 'vm-1', 'd', '{}', '', '', '', '', 'running', 9, $3)`,
      [id, id.slice(0, 8), applied],
    );
    for (let g = 1n; g <= 9n; g++)
      await pool.query(`insert into rotation.generations values ('t1', $1, $2, $3)`, [
        ...[id, g, fingerprintOf(g)],
      ]);
    const rollouts: string[] = [];
    for (const generation of targets) rollouts.push(await insertRollout(id, generation));
    return { id, rollouts };
  };
  const insertRollout = async (agentId: string, generation: bigint, on: Db = database.pool) => {
    const id = randomUUID();
    await on.query(
      `insert into rotation.rollouts (tenant_id, rollout_id, request_hash, workspace, agent_id,
         path, requested_by, reason, unchanged, warnings, open_targets)
       values ('t1', $1, '', 'w', $2, 'p', 'd', '', false, '{}', 1)`,
      [id, agentId],
    );
    await on.query(
      `insert into rotation.targets (tenant_id, rollout_id, agent_id, generation, state)
       values ('t1', $1, $2, $3, 'pending')`,
      [id, agentId, generation],
    );
    return id;
  };
  const ackOf = (
    agentId: string,
    generation: bigint,
    change: Partial<AppliedAck["from"]> = {},
  ) => ({
    from: { tenantId: "t1", vmId: "vm", ...LIFE, ...change },
    ...{ agentId, generation, fingerprint: fingerprintOf(generation), omittedNames: [] },
  });
  const stateOf = async (agentId: string) => {
    const { rows } = await database.pool.query<{ applied: bigint }>(
      `select applied from rotation.agents where agent_id = $1`,
      [agentId],
    );
    const targets = await database.pool.query<{ generation: bigint; state: string; open: number }>(
      `select t.generation, t.state, r.open_targets as open
       from rotation.targets t join rotation.rollouts r using (tenant_id, rollout_id)
       where t.agent_id = $1 order by t.generation, t.rollout_id`,
      [agentId],
    );
    return { applied: rows[0]?.applied ?? -1n, targets: targets.rows };
  };

  it("decides of any ack as the protocol does", async () => {
    const generation = fc.bigInt({ min: 1n, max: 9n });
    await fc.assert(
      fc.asyncProperty(
        fc.bigInt({ min: 0n, max: 9n }),
        fc.array(generation, { maxLength: 4 }),
        generation,
        fc.constantFrom({}, { bootId: "other" }, { incarnation: 2n }, { incarnationName: "twin" }),
        async (applied, targets, acked, life) => {
          const { id } = await insertAgent(applied, targets);
          const ack = ackOf(id, acked, life);
          await store.recordApplied(database.pool, [ack]);
          const isHeard =
            isAckCurrent(LIFE, ack.from) && ack.from.incarnationName === LIFE.incarnationName;
          const expected = isHeard ? raiseApplied(applied, acked) : applied;
          const open = targets.map((it) => ({ agentId: id, generation: it }));
          const evidence = { agentId: id, generation: expected };
          const satisfied = isHeard ? targetsSatisfiedBy(evidence, open) : [];
          const state = await stateOf(id);
          expect(state.applied).toBe(expected);
          const closed = state.targets.filter((it) => it.state === "applied");
          expect(closed.map((it) => it.generation)).toEqual(
            satisfied.map((it) => it.generation).sort((a, b) => (a < b ? -1 : 1)),
          );
          for (const it of state.targets) expect(it.open).toBe(it.state === "applied" ? 0 : 1);
        },
      ),
      { numRuns: 60 },
    );
  }, 180_000);

  it("closes a target that was written while the ack waited for the agent's row", async () => {
    const { id } = await insertAgent(0n, []);
    let acking: Promise<unknown> | undefined;
    const rolloutId = await withTransaction(database.pool, async (tx) => {
      await tx.query(`select from rotation.agents where agent_id = $1 for update`, [id]);
      acking = store.recordApplied(database.pool, [ackOf(id, 2n)]);
      await eventually(async () => {
        const { rows } = await database.pool.query(
          `select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`,
        );
        expect(rows).toHaveLength(1);
      });
      return insertRollout(id, 1n, tx);
    });
    await acking;
    expect(await stateOf(id)).toMatchObject({ targets: [{ state: "applied", open: 0 }] });
    expect(rolloutId).toBeDefined();
  });

  it("counts a rollout down once, however many acks of its agents come at once", async () => {
    const agents = await Promise.all(Array.from({ length: 20 }, () => insertAgent(0n, [])));
    const rollout = await insertRollout(agents[0]?.id ?? "", 5n);
    for (const { id } of agents.slice(1))
      await database.pool.query(
        `insert into rotation.targets values ('t1', $1, $2, 5, 'pending')`,
        [...[rollout, id]],
      );
    await database.pool.query(
      `update rotation.rollouts set open_targets = 20 where rollout_id = $1`,
      [rollout],
    );
    const acks = agents.map(({ id }) => ackOf(id, 5n));
    await Promise.all(
      [acks, acks, ...acks.map((ack) => [ack])].map((batch) =>
        store.recordApplied(database.pool, batch),
      ),
    );
    const { rows } = await database.pool.query(
      `select open_targets, completed_at is not null as completed
       from rotation.rollouts where rollout_id = $1`,
      [rollout],
    );
    expect(rows).toEqual([{ open_targets: 0, completed: true }]);
  });

  it("notes no failure of a generation that nobody wants", async () => {
    const { id } = await insertAgent(1n, []);
    const failedOf = async (generation: bigint) => {
      await store.recordFailed(database.pool, [{ ...ackOf(id, generation), reason: "no" }]);
      const { rows } = await database.pool.query<{ failed_generation: bigint | null }>(
        `select failed_generation from rotation.agents where agent_id = $1`,
        [id],
      );
      return rows[0]?.failed_generation;
    };
    expect(await failedOf(10n)).toBeNull();
    expect(await failedOf(9n)).toBe(9n);
  });
});
