import { setTimeout as delay } from "node:timers/promises";
import { startPostgres, type PostgresPart } from "../../dev/parts/postgres";
import { eventually } from "../../test/harness/eventually";
import { createTestDatabase, type TestDatabase } from "../../test/harness/postgres";
import { isAppError } from "../errors";
import { sensitive } from "../sensitive";
import { type Pool } from "./db";
import { isUniqueViolation } from "./errors";
import { createPool } from "./pool";

/** Of a statement and of a new connection; long enough for a healthy one on any machine. */
const LIMIT_MS = 1_500;
const AWAY = { code: "UNAVAILABLE", message: "PostgreSQL is away", retryAfterMs: 1000 };

describe("a pool on a living PostgreSQL", () => {
  let database: TestDatabase;
  let pool: Pool;
  beforeAll(async () => {
    database = await createTestDatabase();
    ({ pool } = database);
  });
  afterAll(() => database.drop());

  test("numbers of 64 bits arrive exactly", async () => {
    const { rows } = await pool.query(
      "select 9007199254740993 as big, count(*) as n, $1::bigint as given",
      [2n ** 62n],
    );
    expect(rows).toEqual([{ big: 9007199254740993n, n: 1n, given: 2n ** 62n }]);
  });

  test("a statement that the server refuses does not cost the connection", async () => {
    const one = createPool({ url: database.url, applicationName: "test", max: 1 });
    const pid = () => one.query<{ pid: number }>("select pg_backend_pid() as pid");
    const before = await pid();
    await expect(one.query("select 1/0")).rejects.toThrow("division by zero");
    expect((await pid()).rows).toEqual(before.rows);
    await one.close();
  });

  test("a violated constraint can be told by its name", async () => {
    await pool.query("create table cards (id int constraint cards_key primary key)");
    await pool.query("insert into cards values (1)");
    const error: unknown = await pool
      .query("insert into cards values (1)")
      .catch((e: unknown) => e);
    expect(isUniqueViolation(error)).toBe(true);
    expect(isUniqueViolation(error, "cards_key")).toBe(true);
    expect(isUniqueViolation(error, "another")).toBe(false);
  });

  test("a statement that takes too long ends with UNAVAILABLE and the pool works on", async () => {
    const brief = createPool({ url: database.url, applicationName: "test", timeoutMs: 1_500 });
    await expect(brief.query("select pg_sleep(20)")).rejects.toMatchObject(AWAY);
    await brief.query("select 1");
    await brief.close();
  });

  test("no free connection within the limit is UNAVAILABLE", async () => {
    const options = { max: 1, connectTimeoutMs: 2_000 };
    const one = createPool({ url: database.url, applicationName: "test", ...options });
    const taken = await one.connect();
    await expect(one.query("select 1")).rejects.toMatchObject(AWAY);
    taken.release();
    await one.query("select 1");
    await one.close();
  });

  test("after close every call is UNAVAILABLE, and closing twice is the same", async () => {
    const closed = createPool({ url: database.url, applicationName: "test" });
    await closed.query("select 1");
    await Promise.all([closed.close(), closed.close()]);
    await expect(closed.query("select 1")).rejects.toMatchObject(AWAY);
  });
});

describe("a pool whose PostgreSQL goes away", () => {
  let server: PostgresPart;
  let pool: Pool;
  beforeAll(async () => {
    server = await startPostgres({ durable: false });
    const url = sensitive(server.url);
    pool = createPool({
      url,
      applicationName: "test",
      timeoutMs: LIMIT_MS,
      connectTimeoutMs: LIMIT_MS,
    });
  });
  afterAll(async () => {
    await pool.close();
    await server.stop();
  });

  test("a frozen server is noticed within the time limit, and forgiven", async () => {
    await pool.query("select 1");
    const pids = await backendPids(pool);
    for (const pid of [server.pid, ...pids]) process.kill(pid, "SIGSTOP");
    const startMs = performance.now();
    await expect(pool.query("select 1")).rejects.toMatchObject(AWAY);
    await expect(pool.query("select 1")).rejects.toMatchObject(AWAY);
    expect(performance.now() - startMs).toBeLessThan(2 * LIMIT_MS + 10_000);
    for (const pid of [server.pid, ...pids]) process.kill(pid, "SIGCONT");
    await eventually(() => pool.query("select 1"));
  });

  test("a transaction on a frozen server waits for one statement, and not for its rollback, too", async () => {
    const held = await pool.connect();
    await held.query("select 1");
    const pids = await backendPids(pool);
    for (const pid of [server.pid, ...pids]) process.kill(pid, "SIGSTOP");
    await expect(held.query("begin")).rejects.toMatchObject(AWAY);
    const rollback = held.query("rollback").catch((error: unknown) => error);
    const late = delay(LIMIT_MS / 2, "it waits");
    expect(await Promise.race([rollback, late])).toMatchObject(AWAY);
    held.release();
    for (const pid of [server.pid, ...pids]) process.kill(pid, "SIGCONT");
    await eventually(() => pool.query("select 1"));
  });

  test("a killed server is UNAVAILABLE, for whoever holds a connection too", async () => {
    const held = await pool.connect();
    await server.kill();
    await expect(held.query("select 1")).rejects.toMatchObject(AWAY);
    held.release();
    await expect(pool.query("select 1")).rejects.toMatchObject(AWAY);
  });

  test("a server that is back is used again", async () => {
    const { port, directory } = server;
    server = await startPostgres({ directory, port, durable: false });
    await eventually(() => pool.query("select 1"));
  });

  test("a server at its connection limit is UNAVAILABLE", async () => {
    await pool.query("create role guest login connection limit 0 password 'guest'");
    const url = new URL(server.url);
    url.username = "guest";
    url.password = "guest";
    const guest = createPool({ url: sensitive(url.href), applicationName: "test" });
    const error: unknown = await guest.query("select 1").catch((e: unknown) => e);
    expect(isAppError(error, "UNAVAILABLE")).toBe(true);
    await guest.close();
  });
});

async function backendPids(pool: Pool): Promise<number[]> {
  const { rows } = await pool.query<{ pid: number }>(
    "select pid from pg_stat_activity where backend_type = 'client backend'",
  );
  return rows.map(({ pid }) => pid);
}
