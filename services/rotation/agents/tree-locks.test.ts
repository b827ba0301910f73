import { randomUUID } from "node:crypto";
import { withTransaction } from "../../../lib/postgres/transaction";
import type { Tx } from "../../../lib/postgres/db";
import { eventually } from "../../../test/harness/eventually";
import { startFleet, type Fleet } from "../../../test/harness/fleet";

/** The windows between two transactions are too short to be met by chance: they are held open here. */
describe("a tree that is held", () => {
  let fleet: Fleet;
  beforeAll(async () => {
    fleet = await startFleet();
    await fleet.connect(fleet.machine("vm-1"));
  });
  afterAll(() => fleet.stop());

  /** Holds the tree as a rekey or kill does, begins `call`, and commits when it waits for a lock. */
  const whileHeld = async <T>(
    rootId: string,
    call: () => Promise<T>,
    change: (tx: Tx) => Promise<unknown>,
  ): Promise<T> => {
    const { pool } = fleet.rotation.database;
    let calling: Promise<T> | undefined;
    await withTransaction(pool, async (tx) => {
      await tx.query(`select from rotation.trees where root_id = $1 for update`, [rootId]);
      calling = call();
      calling.catch(() => undefined);
      await eventually(async () => {
        const { rows } = await pool.query(
          `select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`,
        );
        expect(rows.length).toBeGreaterThan(0);
      });
      await change(tx);
    });
    if (!calling) throw new Error("the call was not begun");
    return calling;
  };

  it("by a rekey is joined by the child whose generation had to wait for it", async () => {
    const parent = await fleet.spawn("parent");
    const rolloutId = randomUUID();
    await whileHeldAfterInsert(parent.agentId, rolloutId);
    fleet.catalog.afterSnapshot = () => undefined;
    const { targets } = await fleet.owner.rollouts.getRollout({ rolloutId });
    expect(targets.map(({ path }) => path)).toContain("parent/child");
  });

  /** Lets the child's row be inserted, and holds the tree before its generation is recorded. */
  const whileHeldAfterInsert = async (parentId: string, rolloutId: string) => {
    let reached: () => void = () => undefined;
    let go: () => void = () => undefined;
    const isReached = new Promise<void>((resolve) => (reached = resolve));
    const mayGo = new Promise<void>((resolve) => (go = resolve));
    fleet.catalog.afterSnapshot = async () => {
      reached();
      await mayGo;
    };
    const child = fleet.spawn("child", { parentAgentId: parentId });
    await isReached;
    await whileHeld(
      parentId,
      () => {
        go();
        return child;
      },
      (tx) =>
        tx.query(
          `with r as (
             insert into rotation.rollouts (tenant_id, rollout_id, request_hash, workspace, agent_id,
               path, requested_by, reason, unchanged, warnings, open_targets)
             values ('t1', $1, '', 'backend', $2, 'parent', 'd', '', false, '{}', 1)
           )
           insert into rotation.targets (tenant_id, rollout_id, agent_id, generation, state)
           values ('t1', $1, $2, 1, 'pending')`,
          [rolloutId, parentId],
        ),
    );
  };

  it("by a kill lets no child slip in below it", async () => {
    const parent = await fleet.spawn("doomed");
    const child = whileHeld(
      parent.agentId,
      () => fleet.spawn("child", { parentAgentId: parent.agentId }),
      (tx) =>
        tx.query(`update rotation.agents set kill_requested = true where agent_id = $1`, [
          parent.agentId,
        ]),
    );
    await expect(child).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
      message: 'agent "doomed" is cancelled',
    });
  });
});
