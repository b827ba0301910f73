import { startSealer, writeRecords } from "../../test/harness/audit";
import { eventually } from "../../test/harness/eventually";
import { createTestDatabase, type TestDatabase } from "../../test/harness/postgres";
import { readAuditBacklog } from "./audit-metrics";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase("catalog");
});
afterAll(() => database.drop());

const backlog = () => readAuditBacklog(database.pool, "catalog");

it("the backlog is what is not sealed, in all chains, and how old it is; sealing is measured", async () => {
  expect(await backlog()).toEqual({ records: 0, oldestSeconds: 0 });
  await writeRecords(database.pool, "t1", "a", "b");
  await writeRecords(database.pool, "", "c");
  const waiting = await backlog();
  expect(waiting.records).toBe(3);
  expect(waiting.oldestSeconds).toBeGreaterThan(0);
  const lags: number[] = [];
  let failures = 0;
  const metrics = {
    sealed: (oldestMs: number) => {
      lags.push(oldestMs);
    },
    failed: () => {
      failures++;
    },
  };
  const sealer = startSealer({ db: database.pool, metrics });
  await eventually(async () => expect(await backlog()).toEqual({ records: 0, oldestSeconds: 0 }));
  await writeRecords(database.pool, "t1", "d");
  await eventually(async () => expect((await backlog()).records).toBe(0));
  await sealer.end();
  expect(lags.length).toBeGreaterThanOrEqual(2);
  expect(Math.min(...lags)).toBeGreaterThanOrEqual(0);
  expect(failures).toBe(0);
});

it("a step of sealing that fails is counted", async () => {
  let failures = 0;
  const failed = () => {
    failures++;
  };
  const metrics = { sealed: () => undefined, failed };
  const db = { query: () => Promise.reject(new Error("away")) };
  const sealer = startSealer({ db, metrics, leaseMs: 50 });
  await eventually(() => {
    expect(failures).toBeGreaterThan(1);
  });
  await sealer.end();
});
