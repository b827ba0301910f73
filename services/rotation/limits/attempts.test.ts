import { createTestDatabase, type TestDatabase } from "../../../test/harness/postgres";
import type { AttemptLimit } from "./attempt-limit";
import { postgresAttemptStore as attempts } from "./postgres-attempt-store";

const LIMIT: AttemptLimit = { name: "tries", max: 3, windowSeconds: 900 };
const WINDOW_MS = 900_000;

let database: TestDatabase;
let subjects = 0;

beforeAll(async () => {
  database = await createTestDatabase("rotation");
});
afterAll(() => database.drop());

const someone = (tenantId = "t1") => ({ tenantId, subject: `developer-${subjects++}` });
const take = (who: { tenantId: string; subject: string }, limit = LIMIT) =>
  attempts.take(database.pool, limit, who);
/** Makes the attempts of all that much older. */
const pass = (seconds: number) =>
  database.pool.query(
    `update rotation.attempts set over_at = over_at - $1 * interval '1 second',
       times = array(select it - $1 * interval '1 second' from unnest(times) with ordinality as t(it, n) order by n)`,
    [seconds],
  );

it("lets three through and says how long to wait", async () => {
  const who = someone();
  for (let n = 0; n < 3; n++) expect(await take(who)).toBeUndefined();
  await pass(100);
  const waitMs = (await take(who)) ?? 0;
  expect(waitMs).toBeLessThanOrEqual(WINDOW_MS - 100_000);
  expect(waitMs).toBeGreaterThan(WINDOW_MS - 160_000);
});

it("slides: each attempt is free again when its own time is over, and not before", async () => {
  const who = someone();
  for (let n = 0; n < 3; n++) {
    expect(await take(who)).toBeUndefined();
    await pass(290);
  }
  // 870, 580 and 290 s ago.
  expect(await take(who)).toBeLessThanOrEqual(30_000);
  await pass(31);
  expect(await take(who)).toBeUndefined();
  // 611, 321 and 0 s ago.
  expect(await take(who)).toBeGreaterThan(200_000);
});

it("does not count what it refused: whoever waits is let through", async () => {
  const who = someone();
  for (let n = 0; n < 3; n++) await take(who);
  await pass(800);
  for (let n = 0; n < 20; n++) expect(await take(who)).toBeGreaterThan(0);
  await pass(101);
  for (let n = 0; n < 3; n++) expect(await take(who)).toBeUndefined();
});

it("lets exactly three of a hundred through that come at once, from their first on", async () => {
  const who = someone();
  const answers = await Promise.all(Array.from({ length: 100 }, () => take(who)));
  expect(answers.filter((wait) => wait === undefined)).toHaveLength(3);
  for (const wait of answers) expect(wait ?? WINDOW_MS).toBeGreaterThan(WINDOW_MS / 2);
});

it("counts each limit, tenant and subject apart", async () => {
  const who = someone();
  for (let n = 0; n < 3; n++) await take(who);
  expect(await take(who)).toBeGreaterThan(0);
  expect(await take({ ...who, tenantId: "t2" })).toBeUndefined();
  expect(await take({ ...who, subject: `${who.subject}x` })).toBeUndefined();
  expect(await take(who, { ...LIMIT, name: "other" })).toBeUndefined();
});

it("forgets whom nothing holds any more, and nobody else", async () => {
  const [old, fresh] = [someone(), someone()];
  await take(old);
  await pass(901);
  for (let n = 0; n < 3; n++) await take(fresh);
  while ((await attempts.prune(database.pool, 2)) > 0);
  const { rows } = await database.pool.query("select subject from rotation.attempts");
  expect(rows).toEqual([{ subject: fresh.subject }]);
  expect(await take(fresh)).toBeGreaterThan(0);
});
