import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { eventually } from "../../test/harness/eventually";
import { createTestDatabase, type TestDatabase } from "../../test/harness/postgres";
import { type Db, type Pool } from "./db";
import { outboxDdl, outboxEnd, OUTBOX_START, pruneOutbox, readOutbox, type Outbox } from "./outbox";
import { createOutboxTail, type OutboxTailOptions } from "./outbox-tail";
import { createPool } from "./pool";
import { withTransaction } from "./transaction";

interface Note {
  note: string;
}

const outbox: Outbox<Note> = { schema: "shop", columns: ["note"] };
const WRITERS = 16;
const ROWS_EACH = 40;

let database: TestDatabase;
let pool: Pool;
beforeAll(async () => {
  database = await createTestDatabase();
  pool = createPool({ url: database.url, applicationName: "test", max: WRITERS + 4 });
  await pool.query(`create schema shop; ${outboxDdl("shop", "note text not null")}`);
});
afterAll(async () => {
  await pool.close();
  await database.drop();
});
beforeEach(() => pool.query("truncate shop.outbox, shop.outbox_publisher"));

const write = (db: Db, ...notes: string[]) =>
  db.query("insert into shop.outbox (note) select unnest($1::text[])", [notes]);

/** Rows are read once no older transaction runs, also one of another database of the cluster. */
async function readAll(count: number) {
  return eventually(async () => {
    const entries = await readOutbox(pool, outbox, OUTBOX_START, 10);
    expect(entries).toHaveLength(count);
    return entries;
  });
}

/** Many transactions at once, each a moment between its insert and its commit. */
async function writeManyAtOnce(): Promise<string[]> {
  const writers = Array.from({ length: WRITERS }, async (_, writer) => {
    const notes = Array.from({ length: ROWS_EACH }, (__, n) => `${writer}-${n}`);
    for (const note of notes) {
      await withTransaction(pool, async (tx) => {
        await write(tx, note);
        // The race that is looked for, not a wait for something.
        await delay(Math.random() * 8);
      });
    }
    return notes;
  });
  return (await Promise.all(writers)).flat();
}

/** Whether no transaction is open that began before the last row, be it another test's. */
async function isAllReadable(): Promise<boolean> {
  const { rows } = await pool.query<{ all: boolean }>(
    `select coalesce(max(xid) < pg_snapshot_xmin(pg_current_snapshot()), true) as all
       from shop.outbox`,
  );
  return rows[0]!.all;
}

/** Runs `readNext` in a loop beside the writers, and until it has found nothing new after them. */
async function readBeside(readNext: () => Promise<string[]>): Promise<[string[], string[]]> {
  const seen: string[] = [];
  const writers = { isOver: false };
  const reading = (async () => {
    for (;;) {
      const isLast = writers.isOver;
      const notes = await readNext();
      seen.push(...notes);
      if (isLast && notes.length === 0) return;
    }
  })();
  const written = await writeManyAtOnce();
  await eventually(async () => expect(await isAllReadable()).toBe(true));
  writers.isOver = true;
  await reading;
  return [written.sort(), seen.sort()];
}

describe("reading an outbox", () => {
  test("with 16 writers at once nothing is lost, doubled or out of order", async () => {
    let cursor = await outboxEnd(pool);
    const cursors: bigint[] = [];
    const [written, seen] = await readBeside(async () => {
      const entries = await readOutbox(pool, outbox, cursor, 100);
      cursor = entries.at(-1)?.cursor ?? cursor;
      cursors.push(cursor.xid);
      return entries.map(({ row }) => row.note);
    });
    expect(seen).toEqual(written);
    expect(cursors).toEqual([...cursors].sort((a, b) => (a < b ? -1 : Number(a > b))));
  });

  test("planted defect: a cursor on the id alone loses rows, and this test sees it", async () => {
    let last = (
      await pool.query<{ id: bigint }>("select coalesce(max(id), 0) as id from shop.outbox")
    ).rows[0]!.id;
    const [written, seen] = await readBeside(async () => {
      const { rows } = await pool.query<{ id: bigint; note: string }>(
        "select id, note from shop.outbox where id > $1 order by id",
        [last],
      );
      last = rows.at(-1)?.id ?? last;
      return rows.map(({ note }) => note);
    });
    expect(seen.length).toBeLessThan(written.length);
  });

  test("a row is not read while an older transaction may still write one before it", async () => {
    const older = await pool.connect();
    await older.query("begin");
    await write(older, "first");
    await write(pool, "second");
    expect(await readOutbox(pool, outbox, OUTBOX_START, 10)).toEqual([]);
    await older.query("commit");
    older.release();
    const notes = (await readAll(2)).map(({ row }) => row.note);
    expect(notes).toEqual(["first", "second"]);
  });

  test("pruning takes old rows behind the publisher's cursor, a batch at a time", async () => {
    await write(pool, "a", "b", "c");
    const [first, second] = await readAll(3);
    const options = { schema: "shop", publisher: "kafka", keepMs: 0, limit: 1 };
    expect(await pruneOutbox(pool, options)).toBe(0);
    await pool.query(`insert into shop.outbox_publisher values ('kafka', $1, now(), $2, $3, 0)`, [
      randomUUID(),
      second!.cursor.xid,
      second!.cursor.id,
    ]);
    expect(await pruneOutbox(pool, { ...options, keepMs: 60_000 })).toBe(0);
    expect([await pruneOutbox(pool, options), await pruneOutbox(pool, options)]).toEqual([1, 1]);
    expect(await pruneOutbox(pool, options)).toBe(0);
    const left = await readOutbox(pool, outbox, first!.cursor, 10);
    expect(left.map(({ row }) => row.note)).toEqual(["c"]);
    expect(await pruneOutbox(pool, { schema: "shop", keepMs: 0 })).toBe(1);
  });
});

describe("a tail", () => {
  const stop = new AbortController();
  afterAll(() => stop.abort());

  function follow(options: Partial<OutboxTailOptions<Note>> = {}) {
    const events: string[] = [];
    const tail = createOutboxTail({
      db: pool,
      outbox,
      pollMs: 5,
      onEntries: (entries) => void events.push(...entries.map(({ row }) => row.note)),
      onReset: (why) => void events.push(why),
      ...options,
    });
    const ending = new AbortController();
    const running = tail.run(AbortSignal.any([stop.signal, ending.signal]));
    const end = () => {
      ending.abort();
      return running;
    };
    return { tail, events, end };
  }

  test("starts at the present end and hands over what comes after, in order", async () => {
    await write(pool, "before");
    await eventually(async () => expect(await isAllReadable()).toBe(true));
    const { tail, events, end } = follow();
    await eventually(() => expect(events).toEqual(["started"]));
    await write(pool, "a", "b");
    await write(pool, "c");
    await eventually(() => expect(events).toEqual(["started", "a", "b", "c"]));
    await eventually(() => expect(tail.watermarkAgeMs()).toBeLessThan(1_000));
    await end();
  });

  test("a row that its receiver failed on is handed over again, after the whole state", async () => {
    let isFailing = true;
    const seen: string[] = [];
    const { events, end } = follow({
      onEntries: (entries) => {
        if (isFailing) throw new Error("receiver is not ready");
        seen.push(...entries.map(({ row }) => row.note));
      },
    });
    await eventually(() => expect(events).toEqual(["started"]));
    await write(pool, "a");
    await eventually(() => expect(events).toContain("reconnected"));
    isFailing = false;
    await eventually(() => expect(seen).toEqual(["a"]));
    await end();
  });

  test("a database that was restored to an older state does not silence it", async () => {
    // What the tail has seen lies far ahead of the cluster, as after a restore into a new one.
    let isBefore = true;
    const before: Db = {
      query: async (text, params, options) =>
        isBefore && text.includes("pg_snapshot_xmin(pg_current_snapshot()) as xid")
          ? { rows: [{ xid: 2n ** 40n }] as never[], rowCount: 1, command: "SELECT" }
          : pool.query(text, params, options),
    };
    const { events, end } = follow({ db: before });
    await eventually(() => expect(events).toEqual(["started"]));
    isBefore = false;
    await eventually(() => expect(events).toEqual(["started", "restored"]));
    await write(pool, "after the restore");
    await eventually(() => expect(events.at(-1)).toBe("after the restore"));
    await end();
  });
});
