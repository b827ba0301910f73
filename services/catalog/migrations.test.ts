import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { dumpSchema } from "../../test/harness/dump-schema";
import { createTestDatabase } from "../../test/harness/postgres";

const FILE = join(__dirname, "migrations/schema.sql");

it("migrations make the schema that schema.sql shows (UPDATE_SCHEMA=1 writes it anew)", async () => {
  const database = await createTestDatabase("catalog");
  try {
    const head =
      "-- What the migrations of this folder make of an empty database. Never run; a test compares.\n";
    const dump = head + (await dumpSchema(database.pool, "catalog"));
    if (process.env["UPDATE_SCHEMA"] === "1") writeFileSync(FILE, dump);
    expect(dump).toBe(readFileSync(FILE, "utf8"));
  } finally {
    await database.drop();
  }
});
