import { randomInt } from "node:crypto";
import {
  AUDIT_KEY,
  type RunningSealer,
  sealedReport,
  startSealer,
  verifyStored,
  writeRecords,
} from "../../test/harness/audit";
import { eventually } from "../../test/harness/eventually";
import { createTestDatabase, type TestDatabase } from "../../test/harness/postgres";
import { systemClock } from "../clock";
import { generateSigningKey } from "../identity/signing-key";
import type { Db } from "../postgres/db";
import { withTransaction } from "../postgres/transaction";
import type { SealerOptions } from "./sealer";
import { createSealerStore, type SealerStore } from "./sealer-store";
import { createTenure } from "./tenure";

/** Long enough to be renewed in time by a process that gets no processor for a second. */
const LEASE_MS = 3_000;

let database: TestDatabase;
let running: RunningSealer[] = [];
beforeEach(async () => {
  database = await createTestDatabase("catalog");
});
afterEach(async () => {
  await Promise.all(running.map(({ end }) => end()));
  running = [];
  await database.drop();
});

const start = (options: Partial<SealerOptions> = {}) => {
  const started = startSealer({ db: database.pool, leaseMs: LEASE_MS, ...options });
  running.push(started);
  return started;
};
const write = (tenantId: string, ...objects: string[]) =>
  writeRecords(database.pool, tenantId, ...objects);
const sealedObjects = async (tenantId: string) => {
  const { rows } = await database.pool.query<{ object_id: string }>(
    `select object_id from catalog.audit_chain c
     join catalog.audit a on a.tenant_id = c.tenant_id and a.id = c.audit_id
     where c.tenant_id = $1 order by sequence`,
    [tenantId],
  );
  return rows.map((row) => row.object_id);
};
const fine = { faults: [], faultCount: 0, restores: 0, unknownKeys: [] };

it("seals what was written before and after its start, a chain for each tenant", async () => {
  await write("t1", "a", "b");
  await write("", "installation");
  start({ batch: 2 });
  await write("t2", "c");
  await write("t1", "d", "e", "f");
  expect(await sealedReport(database.pool, "t1", 5)).toMatchObject(fine);
  expect(await sealedReport(database.pool, "t2", 1)).toMatchObject(fine);
  expect(await sealedReport(database.pool, "", 1)).toMatchObject(fine);
  expect(await sealedObjects("t1")).toEqual(["a", "b", "d", "e", "f"]);
});

it("waits for a transaction that began earlier and commits later, and misses nothing", async () => {
  start();
  await write("t1", "first");
  await sealedReport(database.pool, "t1", 1);
  await withTransaction(database.pool, async (tx) => {
    await writeRecords(tx, "t1", "late");
    await write("t1", "early");
    await write("t2", "elsewhere");
    // Whatever the sealer does meanwhile.
    const { rows } = await database.pool.query(
      "update catalog.audit_sealer set rival_until = clock_timestamp() + interval '1 minute' returning 1",
    );
    expect(rows).toHaveLength(1);
    expect(await sealedObjects("t1")).toEqual(["first"]);
  });
  expect(await sealedReport(database.pool, "t1", 3)).toMatchObject(fine);
  expect(await sealedObjects("t1")).toEqual(["first", "late", "early"]);
});

it("of two at once one seals; when it ends the other goes on where it was", async () => {
  // Long enough that a slow machine does not lose it in the middle.
  const leaseMs = 20_000;
  const first = start({ leaseMs });
  await eventually(() => {
    expect(first.sealer.isHolder()).toBe(true);
  });
  const second = start({ leaseMs });
  await write("t1", "a");
  await sealedReport(database.pool, "t1", 1);
  expect(second.sealer.isHolder()).toBe(false);
  await first.end();
  await write("t1", "b");
  expect(await sealedReport(database.pool, "t1", 2)).toMatchObject(fine);
  expect(second.sealer.isHolder()).toBe(true);
});

it("one that freezes in the middle is replaced, and writes nothing when it thaws", async () => {
  let thaw: () => void = () => undefined;
  const frozen = new Promise<void>((resolve) => (thaw = resolve));
  let isFrozen = false;
  const slow: Db = {
    async query(text, params, more) {
      // What it knows when it freezes is what it goes on with.
      if (text.includes("insert into catalog.audit_chain")) {
        isFrozen = true;
        await frozen;
      }
      return database.pool.query(text, params, more);
    },
  };
  start({ db: slow });
  await write("t1", "a");
  await eventually(() => {
    expect(isFrozen).toBe(true);
  });
  start();
  await write("t1", "b");
  await sealedReport(database.pool, "t1", 2);
  thaw();
  await write("t1", "c");
  expect(await sealedReport(database.pool, "t1", 3)).toMatchObject(fine);
});

it("killed between any two statements, or before it hears of one, with 16 writers: whole chains", async () => {
  const KILLS = 60;
  let isOver = false;
  let written = 0;
  const writer = async (number: number) => {
    for (let at = 0; !isOver && at < 150; at++) {
      await withTransaction(database.pool, async (tx) => {
        await writeRecords(tx, `t${number % 3}`, `${number}/${at}`);
        if (at % 3 === 0) await tx.query("select pg_sleep(0.002)");
      });
      written += 1;
    }
  };
  const writers = Array.from({ length: 16 }, (_, number) => writer(number));
  for (let kill = 0; kill < KILLS; kill++) {
    const doomed = mortal(database.pool, randomInt(1, 7), kill % 2 === 0);
    const victims = [doomed, mortal(database.pool, 1_000, false)].map(({ db }) =>
      start({ db, leaseMs: 50, batch: 20 }),
    );
    await doomed.death;
    await Promise.all(victims.map(({ end }) => end()));
  }
  isOver = true;
  await Promise.all(writers);
  start();
  const counts = await Promise.all(
    ["t0", "t1", "t2"].map(async (tenantId) => {
      const { rows } = await database.pool.query<{ n: bigint }>(
        "select count(*) as n from catalog.audit where tenant_id = $1",
        [tenantId],
      );
      const size = Number(rows[0]?.n);
      expect(await sealedReport(database.pool, tenantId, size)).toMatchObject(fine);
      return size;
    }),
  );
  expect(counts.reduce((a, b) => a + b)).toBe(written);
});

it("goes on after its connections are cut in the middle", async () => {
  start();
  for (let at = 0; at < 10; at++) {
    await write("t1", `${at}`);
    await database.pool.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and pid <> pg_backend_pid()`,
    );
  }
  expect(await sealedReport(database.pool, "t1", 10)).toMatchObject(fine);
});

it("is not kept out by a lease from before the clock was set back", async () => {
  const dead = start();
  await eventually(() => {
    expect(dead.sealer.isHolder()).toBe(true);
  });
  await dead.end();
  await database.pool.query(
    "update catalog.audit_sealer set lease_until = clock_timestamp() + interval '1 hour'",
  );
  await write("t1", "a");
  start();
  expect(await sealedReport(database.pool, "t1", 1)).toMatchObject(fine);
});

it("does not care for the times of records: a clock that steps changes no order", async () => {
  start();
  for (const shift of ["0", "1 hour", "-1 hour"])
    await database.pool.query(
      `insert into catalog.audit (tenant_id, at, actor_kind, actor_id, peer, action, object_kind,
         object_id, outcome)
       values ('t1', clock_timestamp() + $1::interval, 'system', '', '', 'x', 'y', 'z', 'ok')`,
      [shift],
    );
  expect(await sealedReport(database.pool, "t1", 3)).toMatchObject(fine);
});

describe("a database that was restored into another cluster", () => {
  const FUTURE = 2n ** 40n;
  /** As a dump of a cluster that had come much further leaves it. */
  const restore = async () => {
    await database.pool.query("alter table catalog.audit disable trigger all");
    await database.pool.query(
      "update catalog.audit set xid = (xid::text::bigint + $1)::text::xid8",
      [FUTURE],
    );
    await database.pool.query("alter table catalog.audit enable trigger all");
  };

  it("goes on with a new epoch, with all that was not sealed, in order", async () => {
    // What is dumped is signed as it is: its transactions are of the cluster before.
    await write("t1", "a", "b");
    await restore();
    await database.pool.query(
      `insert into catalog.audit_sealer (holder, lease_until, system_identifier)
       select gen_random_uuid(), clock_timestamp(), system_identifier + 1 from pg_control_system()`,
    );
    await sealAsBefore();
    await database.pool.query(
      `insert into catalog.audit (xid, tenant_id, actor_kind, actor_id, peer, action, object_kind,
         object_id, outcome)
       values ($1::text::xid8, 't1', 'system', '', '', 'x', 'y', 'not sealed', 'ok')`,
      [2n * FUTURE],
    );
    await write("t1", "after the restore");
    start();
    await eventually(async () => {
      expect(await sealedObjects("t1")).toHaveLength(4);
    });
    await write("t1", "and later");
    const report = await sealedReport(database.pool, "t1", 5);
    expect(report).toMatchObject({ ...fine, restores: 1 });
    expect(await sealedObjects("t1")).toEqual([
      ...["a", "b", "not sealed", "after the restore", "and later"],
    ]);
  });

  /** Seals what there is in the name of the cluster before. */
  async function sealAsBefore() {
    const store = createSealerStore({
      ...{ db: database.pool, schema: "catalog", leaseMs: 1 },
      holder: "00000000-0000-4000-8000-000000000001",
    });
    const held = await store.hold();
    if (!held) throw new Error("nobody else holds it");
    const there: SealerStore = {
      ...store,
      read: (after, limit) => store.readRestored(after, limit),
    };
    const tenure = createTenure(
      { store: there, schema: "catalog", signingKey: AUDIT_KEY, batch: 10, clock: systemClock },
      held,
    );
    await tenure.step();
    await store.release();
  }
});

it("vouches for the chain again when it gets another key", async () => {
  const old = start();
  await write("t1", "a");
  await sealedReport(database.pool, "t1", 1);
  await old.end();
  const next = generateSigningKey("murmur-catalog");
  start({ signingKey: next });
  await eventually(async () => {
    const findKey = (kid: string) => (kid === next.kid ? next.publicKey : undefined);
    const report = await verifyStored(database.pool, "t1", { findKey });
    expect(report).toMatchObject({
      signed: { size: 1n },
      unknownKeys: [AUDIT_KEY.kid],
      faults: [],
    });
  });
});

it("rows are only ever added: no statement changes or removes any", async () => {
  await write("t1", "a");
  for (const table of ["audit", "audit_chain", "audit_checkpoints"].map((it) => `catalog.${it}`))
    for (const statement of [
      `update ${table} set tenant_id = 'x'`,
      `delete from ${table}`,
      `truncate ${table}`,
    ])
      await expect(database.pool.query(statement)).rejects.toThrow("only ever added");
});

/** A way to the database that is gone after so many statements, the last one done but not answered. */
function mortal(db: Db, statements: number, isLastDone: boolean) {
  let left = statements;
  let die: () => void = () => undefined;
  const death = new Promise<void>((resolve) => (die = resolve));
  const dying: Db = {
    async query(text, params, more) {
      left -= 1;
      if (left > 0) return db.query(text, params, more);
      if (left === 0 && isLastDone) await db.query(text, params, more);
      die();
      throw new Error("killed");
    },
  };
  return { db: dying, death };
}
