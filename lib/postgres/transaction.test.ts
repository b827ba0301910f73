import { createTestDatabase, type TestDatabase } from "../../test/harness/postgres";
import { type Pool, type Tx } from "./db";
import { createPool } from "./pool";
import { withTransaction, withTransactionRetry } from "./transaction";

describe("a transaction", () => {
  let database: TestDatabase;
  let pool: Pool;
  beforeAll(async () => {
    database = await createTestDatabase();
    pool = createPool({ url: database.url, applicationName: "test", max: 2 });
    await pool.query("create table notes (id int primary key, body text not null default '')");
  });
  afterAll(async () => {
    await pool.close();
    await database.drop();
  });
  beforeEach(() => pool.query("truncate notes"));

  const ids = async () => (await pool.query("select id from notes order by id")).rows;

  test("commits what it did and returns the result", async () => {
    const result = await withTransaction(pool, async (tx) => {
      await tx.query("insert into notes (id) values ($1)", [1]);
      return "done";
    });
    expect(result).toBe("done");
    expect(await ids()).toEqual([{ id: 1 }]);
  });

  test("leaves nothing behind when it throws, and gives its connection back", async () => {
    for (let round = 0; round < 5; round++) {
      const work = withTransaction(pool, async (tx) => {
        await tx.query("insert into notes (id) values (1)");
        throw new Error("no");
      });
      await expect(work).rejects.toThrow("no");
    }
    expect(await ids()).toEqual([]);
  });

  test("a statement error that was swallowed does not look like success", async () => {
    const work = withTransaction(pool, async (tx) => {
      await tx.query("insert into notes (id) values (1)");
      await tx.query("insert into notes (id) values (1)").catch(() => undefined);
    });
    await expect(work).rejects.toThrow("rolled back");
    expect(await ids()).toEqual([]);
  });

  test("a connection that was lost is replaced", async () => {
    for (let round = 0; round < 5; round++) {
      const work = withTransaction(pool, async (tx) => {
        await tx.query("insert into notes (id) values (1)");
        await tx.query("select pg_terminate_backend(pg_backend_pid())");
      });
      await expect(work).rejects.toMatchObject({ code: "UNAVAILABLE" });
    }
    await withTransaction(pool, (tx) => tx.query("insert into notes (id) values (1)"));
    expect(await ids()).toEqual([{ id: 1 }]);
  });

  test("of two that deadlock, the loser is repeated and both are done", async () => {
    await pool.query("insert into notes (id) values (1), (2)");
    const meet = barrier(2);
    const touch = (order: number[]) => {
      let isFirst = true;
      return withTransactionRetry(pool, async (tx) => {
        await append(tx, order[0]!);
        if (isFirst) await meet();
        isFirst = false;
        await append(tx, order[1]!);
      });
    };
    await Promise.all([touch([1, 2]), touch([2, 1])]);
    expect((await pool.query("select body from notes")).rows).toEqual([
      { body: "xx" },
      { body: "xx" },
    ]);
  });
});

function append(tx: Tx, id: number) {
  return tx.query("update notes set body = body || 'x' where id = $1", [id]);
}

/** Resolves for all callers when as many have called. */
function barrier(count: number): () => Promise<void> {
  let arrived = 0;
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return () => {
    arrived += 1;
    if (arrived === count) open();
    return opened;
  };
}
