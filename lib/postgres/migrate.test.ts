import { createTestDatabase, type TestDatabase } from "../../test/harness/postgres";
import { checkSchema, migrate, type Migration } from "./migrate";

const FIRST: Migration = { name: "0001_notes.sql", sql: "create table shop.notes (id int)" };
const SECOND: Migration = { name: "0002_more.sql", sql: "alter table shop.notes add body text" };
const BREAKING: Migration = {
  name: "0002_more.sql",
  sql: "-- old programs write the column\n-- breaking\nalter table shop.notes drop column id",
};

describe("migrate", () => {
  let database: TestDatabase;
  beforeEach(async () => {
    database = await createTestDatabase();
  });
  afterEach(() => database.drop());

  test("an empty database gets the schema and each migration once", async () => {
    const { pool } = database;
    expect(await migrate(pool, "shop", [FIRST, SECOND])).toEqual([FIRST.name, SECOND.name]);
    expect(await migrate(pool, "shop", [FIRST, SECOND])).toEqual([]);
    await pool.query("insert into shop.notes (id, body) values (1, 'x')");
  });

  test("four migrators at once apply each migration once", async () => {
    const runs = [1, 2, 3, 4].map(() => migrate(database.pool, "shop", [FIRST, SECOND]));
    const applied = (await Promise.all(runs)).flat();
    expect(applied.sort()).toEqual([FIRST.name, SECOND.name]);
  });

  test("a migration that fails leaves the schema at the step before", async () => {
    const { pool } = database;
    const broken = { name: "0002_more.sql", sql: "create table shop.half (id int); select 1/0" };
    await expect(migrate(pool, "shop", [FIRST, broken])).rejects.toThrow("division by zero");
    const { rows } = await pool.query("select to_regclass('shop.half') as half");
    expect(rows).toEqual([{ half: null }]);
    expect(await migrate(pool, "shop", [FIRST, SECOND])).toEqual([SECOND.name]);
  });

  test("an applied file that has changed since is refused", async () => {
    await migrate(database.pool, "shop", [FIRST]);
    const changed = { ...FIRST, sql: `${FIRST.sql} ` };
    const refusal = "migration 0001_notes.sql has changed since it was applied";
    await expect(migrate(database.pool, "shop", [changed, SECOND])).rejects.toThrow(refusal);
    await expect(checkSchema(database.pool, "shop", [changed])).rejects.toThrow(refusal);
  });

  test("a gap in the numbers is refused before anything is applied", async () => {
    const gap = { name: "0003_gap.sql", sql: "select 1" };
    await expect(migrate(database.pool, "shop", [FIRST, gap])).rejects.toThrow("0003_gap.sql");
    await expect(checkSchema(database.pool, "shop", [FIRST])).rejects.toThrow("at version 0");
  });

  test("a program refuses a schema that is older than it needs, naming both versions", async () => {
    await migrate(database.pool, "shop", [FIRST]);
    await checkSchema(database.pool, "shop", [FIRST]);
    await expect(checkSchema(database.pool, "shop", [FIRST, SECOND])).rejects.toThrow(
      'schema "shop" is at version 1, this program needs 2: run npm run migrate -- shop',
    );
  });

  test("an old program works with a newer schema, unless that one is breaking", async () => {
    await migrate(database.pool, "shop", [FIRST, SECOND]);
    await checkSchema(database.pool, "shop", [FIRST]);
  });

  test("an old program refuses a newer schema that is breaking", async () => {
    await migrate(database.pool, "shop", [FIRST, BREAKING]);
    await expect(checkSchema(database.pool, "shop", [FIRST])).rejects.toThrow(
      'schema "shop" is at version 2, this program needs 1 and cannot work with 0002_more.sql',
    );
  });
});
