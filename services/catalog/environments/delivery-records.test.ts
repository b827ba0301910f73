import { randomUUID } from "node:crypto";
import { silentLog } from "../../../lib/log";
import type { Db } from "../../../lib/postgres/db";
import { FakeClock } from "../../../test/fakes/fake-clock";
import { createTestDatabase, type TestDatabase } from "../../../test/harness/postgres";
import { createDeliveryRecords, type Delivery } from "./delivery-records";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase("catalog");
});
afterAll(() => database.drop());

let isAway = false;
let clock: FakeClock;
const start = () => {
  clock = new FakeClock();
  const db: Db = {
    query: (text, params, options) =>
      isAway ? Promise.reject(new Error("away")) : database.pool.query(text, params, options),
  };
  return createDeliveryRecords({ db, clock, log: silentLog });
};
const delivery = (generation: bigint, change: Partial<Delivery> = {}): Delivery => ({
  ...{ tenantId: "t1", vmId: "vm-1", agentId, generation, peer: "127.0.0.1:1", ...change },
});
let agentId: string;
beforeEach(() => {
  agentId = randomUUID();
});
const written = async () => {
  const { rows } = await database.pool.query<{ generation: number; ago: number }>(
    `select (detail->>'generation')::int as generation,
       extract(epoch from clock_timestamp() - (detail->>'delivered_at')::timestamptz)::float8 as ago
     from catalog.audit where object_id = $1 order by 1`,
    [agentId],
  );
  return rows;
};
const generations = async () => (await written()).map(({ generation }) => generation);

it("a delivery is recorded once, however often it is repeated, with the time when it was", async () => {
  const records = start();
  for (let n = 0; n < 5; n++) records.note(delivery(1n));
  await clock.advance(60_000);
  await records.flush();
  records.note(delivery(1n));
  await records.flush();
  const [row, ...more] = await written();
  expect(more).toEqual([]);
  expect(row?.ago).toBeGreaterThanOrEqual(60);
});

it("each generation, agent, VM and tenant is recorded for itself, any number of them", async () => {
  const records = start();
  for (let n = 1; n <= 2_500; n++) records.note(delivery(BigInt(n)));
  records.note(delivery(1n, { vmId: "vm-2" }));
  records.note(delivery(1n, { tenantId: "t2" }));
  await records.flush();
  expect(await generations()).toHaveLength(2_502);
});

it("none is lost while the database is away, and none is written twice", async () => {
  const records = start();
  records.note(delivery(1n));
  isAway = true;
  await expect(records.flush()).rejects.toThrow("away");
  records.note(delivery(2n));
  records.note(delivery(1n));
  isAway = false;
  await records.flush();
  expect(await generations()).toEqual([1, 2]);
});
