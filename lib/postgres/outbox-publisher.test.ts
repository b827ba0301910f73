import { eventually } from "../../test/harness/eventually";
import { createTestDatabase, type TestDatabase } from "../../test/harness/postgres";
import { sensitive } from "../sensitive";
import { type Pool } from "./db";
import { outboxDdl, type Outbox, type OutboxEntry } from "./outbox";
import { type OutboxMeasures } from "./outbox-measures";
import { createOutboxPublisher, type OutboxPublisherOptions } from "./outbox-publisher";
import { createPool } from "./pool";

interface Note {
  note: string;
}

const outbox: Outbox<Note> = { schema: "shop", columns: ["note"] };
/** Renewed in time also by a process that gets no processor for a second. */
const LEASE_MS = 3_000;

let database: TestDatabase;
let pool: Pool;
beforeAll(async () => {
  database = await createTestDatabase();
  ({ pool } = database);
  await pool.query(`create schema shop; ${outboxDdl("shop", "note text not null")}`);
});
afterAll(() => database.drop());
const running: (() => Promise<void>)[] = [];
beforeEach(() => pool.query("truncate shop.outbox, shop.outbox_publisher"));
afterEach(async () => {
  await Promise.all(running.splice(0).map((end) => end()));
});

const write = (...notes: string[]) =>
  pool.query("insert into shop.outbox (note) select unnest($1::text[])", [notes]);

/** A publisher that notes what it sent; `beforeSend` can fail it, or hold it up. */
function publish(options: Partial<OutboxPublisherOptions<Note>> = {}) {
  const sent: string[] = [];
  const control = { beforeSend: (): Promise<void> => Promise.resolve() };
  const publisher = createOutboxPublisher({
    pool,
    outbox,
    name: "kafka",
    leaseMs: LEASE_MS,
    pollMs: 5,
    send: async (entries: OutboxEntry<Note>[]) => {
      await control.beforeSend();
      sent.push(...entries.map(({ row }) => row.note));
    },
    ...options,
  });
  const ending = new AbortController();
  const run = publisher.run(ending.signal);
  const end = () => {
    ending.abort();
    return run;
  };
  running.push(end);
  return { publisher, sent, control, end };
}

test("every row is sent, in order, also those from before the first start", async () => {
  await write("a", "b");
  const { sent, publisher } = publish({ batch: 2 });
  await eventually(() => expect(sent).toEqual(["a", "b"]));
  await write("c", "d", "e");
  publisher.wake();
  await eventually(() => expect(sent).toEqual(["a", "b", "c", "d", "e"]));
});

test("of two publishers one sends; when it ends the other goes on where it was", async () => {
  const first = publish();
  await eventually(() => expect(first.publisher.isHolder()).toBe(true));
  const second = publish();
  await write("a");
  await eventually(() => expect(first.sent).toEqual(["a"]));
  expect(second.publisher.isHolder()).toBe(false);
  await first.end();
  await write("b");
  await eventually(() => expect(second.sent).toEqual(["b"]));
});

test("a holder that freezes is replaced within its lease, and then moves no cursor", async () => {
  // Frozen as a stopped process is: it neither renews nor returns from its sending.
  const frozen = publish({ clock: stoppedClock() });
  let thaw: () => void = () => undefined;
  frozen.control.beforeSend = () => new Promise((resolve) => (thaw = resolve));
  await write("a");
  await eventually(() => expect(frozen.publisher.isHolder()).toBe(true));
  const second = publish();
  await eventually(() => expect(second.sent).toEqual(["a"]), { timeoutMs: LEASE_MS + 15_000 });
  await write("b");
  await eventually(() => expect(second.sent).toEqual(["a", "b"]));
  const cursor = async () =>
    (await pool.query("select cursor_xid, cursor_id, holder from shop.outbox_publisher")).rows;
  const newest = await pool.query<{ id: bigint }>("select max(id) as id from shop.outbox");
  // It is moved after the sending.
  const before = await eventually(async () => {
    const rows = await cursor();
    expect(rows).toMatchObject([{ cursor_id: newest.rows[0]?.id }]);
    return rows;
  });
  thaw();
  await eventually(() => expect(frozen.sent).toEqual(["a"]));
  await eventually(() => expect(frozen.publisher.isHolder()).toBe(false));
  expect(await cursor()).toEqual(before);
});

test("a far side that is away loses nothing and says so; the lease is kept meanwhile", async () => {
  const attempts: boolean[] = [];
  const { sent, control, publisher } = publish({
    onAttempt: (error) => attempts.push(error === undefined),
  });
  control.beforeSend = () => Promise.reject(new Error("away"));
  await write("a");
  await eventually(() => expect(attempts).toContain(false));
  expect(publisher.isHolder()).toBe(true);
  control.beforeSend = () => Promise.resolve();
  await eventually(() => expect(sent).toEqual(["a"]));
  expect(attempts.at(-1)).toBe(true);
});

test("a sending that takes longer than the lease keeps it", async () => {
  const slow = publish();
  slow.control.beforeSend = () => new Promise((resolve) => setTimeout(resolve, 2 * LEASE_MS));
  await eventually(() => expect(slow.publisher.isHolder()).toBe(true));
  await write("a");
  const second = publish();
  await eventually(() => expect(slow.sent).toEqual(["a"]));
  expect(second.sent).toEqual([]);
  expect(slow.publisher.isHolder()).toBe(true);
});

describe("a database that was restored from a dump", () => {
  const restore = (system: string, xid: bigint) =>
    pool.query(`update shop.outbox_publisher set system_identifier = ${system}, cursor_xid = $1`, [
      xid,
    ]);
  async function publishedThenStopped() {
    await write("old");
    const { sent, end } = publish();
    await eventually(() => expect(sent).toEqual(["old"]));
    await eventually(async () => {
      const { rows } = await pool.query("select from shop.outbox_publisher where cursor_xid > '0'");
      expect(rows).toHaveLength(1);
    });
    await end();
  }

  test("into another cluster: the cursor is reset, alarmed, and restored rows are sent", async () => {
    await publishedThenStopped();
    await restore("4711", 2n ** 40n);
    // As in the dump: a row of a transaction that this cluster has not come to yet.
    await pool.query("insert into shop.outbox (note, xid) values ('unsent', '1099511627776')");
    let alarms = 0;
    const { sent } = publish({ onRestored: () => alarms++ });
    await eventually(() => expect(sent).toEqual(["old", "unsent"]));
    await write("new");
    await eventually(() => expect(sent).toEqual(["old", "unsent", "new"]));
    expect(alarms).toBe(1);
  });

  test("into the same cluster, with a cursor ahead of it: new rows are sent all the same", async () => {
    await publishedThenStopped();
    await restore("system_identifier", 2n ** 40n);
    let alarms = 0;
    const { sent } = publish({ onRestored: () => alarms++ });
    await write("new");
    await eventually(() => expect(sent).toEqual(["old", "new"]));
    expect(alarms).toBe(1);
  });

  test("under a publisher that runs: it notices with its next renewal", async () => {
    let alarms = 0;
    const { sent } = publish({ onRestored: () => alarms++ });
    await write("a");
    await eventually(() => expect(sent).toEqual(["a"]));
    await restore("4711", 2n ** 40n);
    await eventually(() => expect(alarms).toBe(1));
    await write("b");
    await eventually(() => expect(sent.at(-1)).toBe("b"));
  });
});

test("an ordinary role that owns nothing but its schema may publish", async () => {
  await pool.query("create role clerk login password 'clerk'");
  await pool.query("grant usage on schema shop to clerk");
  await pool.query("grant all on all tables in schema shop to clerk");
  const url = new URL(database.url.expose());
  url.username = url.password = "clerk";
  const clerk = createPool({ url: sensitive(url.href), applicationName: "test" });
  const { sent, end } = publish({ pool: clerk, onMeasures: () => undefined });
  await write("a");
  await eventually(() => expect(sent).toEqual(["a"]));
  await end();
  await clerk.close();
});

test("the ages of the oldest unsent row and of the oldest open writer are told", async () => {
  const measures: OutboxMeasures[] = [];
  const open = await pool.connect();
  await open.query("begin");
  await open.query("insert into shop.outbox (note) values ('open')");
  await pool.query(
    "insert into shop.outbox (note, at) values ('waiting', now() - interval '1 minute')",
  );
  publish({ onMeasures: (it) => measures.push(it) });
  await eventually(() => expect(measures.at(-1)?.oldestAgeMs).toBeGreaterThan(59_000));
  expect(measures.at(-1)?.xminAgeMs).toBeGreaterThan(0);
  await open.query("rollback");
  open.release();
  // Between the transactions of other tests, whose databases are of the same cluster.
  await eventually(() => expect(measures.at(-1)).toEqual({ oldestAgeMs: 0, xminAgeMs: 0 }), {
    timeoutMs: 90_000,
  });
});

/** A clock that stands still and whose pauses never end but by their signal. */
function stoppedClock() {
  return {
    now: () => new Date(0),
    monotonicMs: () => 0,
    sleep: (ms: number, signal?: AbortSignal) =>
      new Promise<void>((resolve) => {
        const wake = setTimeout(resolve, ms < LEASE_MS / 5 ? ms : 1_000_000);
        wake.unref();
        signal?.addEventListener("abort", () => resolve());
      }),
  };
}
