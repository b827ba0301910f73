import { randomUUID } from "node:crypto";
import { createTestDatabase, type TestDatabase } from "../../../test/harness/postgres";
import type { Db } from "../../../lib/postgres/db";
import { unavailable } from "../../../lib/errors";
import { uuidV7 } from "../domain/uuid-v7";
import type { Caller } from "../audit";
import { createPostgresSecretStore } from "./postgres-secret-store";
import type { SealedWrite } from "./secret-store";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase("catalog");
});
afterAll(() => database.drop());

const caller = (tenantId: string, id = "github/alice"): Caller => ({
  tenantId,
  kind: "developer",
  id,
  peer: "here",
});
const write = (name: string, fields: Partial<SealedWrite> = {}): SealedWrite => ({
  owner: "",
  name,
  versionId: uuidV7(new Date()),
  dataKeyId: randomUUID(),
  sealed: Buffer.from("sealed"),
  sizeBytes: 1,
  description: undefined,
  expectedVersion: undefined,
  asFile: undefined,
  needsFile: false,
  request: undefined,
  ...fields,
});

/** Counts statements on their way to the database, and may fail some. */
function spied(fail: (text: string) => boolean = () => false) {
  let statements = 0;
  const errors: unknown[] = [];
  const db: Db = {
    query: async (text, ...rest) => {
      statements++;
      if (fail(text)) throw unavailable("PostgreSQL is away");
      try {
        return await database.pool.query(text, ...rest);
      } catch (error) {
        errors.push(error);
        throw error;
      }
    },
  };
  return { store: createPostgresSecretStore(db), count: () => statements, errors };
}

describe("writes that come at the same time", () => {
  it("go into few statements, and each is answered and recorded for itself", async () => {
    const { store, count } = spied();
    const tenants = [randomUUID(), randomUUID()];
    const outcomes = await Promise.all(
      Array.from({ length: 40 }, (_, n) =>
        store.write(caller(tenants[n % 2]!, `github/dev-${n}`), write(`S_${n}`)),
      ),
    );
    expect(count()).toBeLessThan(10);
    for (const [n, outcome] of outcomes.entries())
      expect(outcome).toMatchObject({
        kind: "written",
        secret: { name: `S_${n}`, version: 1n, updatedBy: `github/dev-${n}` },
      });
    const { rows } = await database.pool.query<{ object_id: string; actor_id: string }>(
      `select object_id, actor_id from catalog.audit where tenant_id = any($1)`,
      [tenants],
    );
    expect(rows).toHaveLength(40);
    for (const { object_id, actor_id } of rows)
      expect(actor_id).toBe(`github/dev-${object_id.slice(2)}`);
  });

  it("treat description and delivery as each write says", async () => {
    const { store } = spied();
    const who = caller(randomUUID());
    const first = { description: "old", asFile: true };
    await Promise.all(["A", "B", "C", "D"].map((name) => store.write(who, write(name, first))));
    await Promise.all([
      store.write(who, write("A")),
      store.write(who, write("B", { description: "new" })),
      store.write(who, write("C", { asFile: false })),
      store.write(who, write("D", { description: "", asFile: true })),
    ]);
    const list = await store.list(who.tenantId, "", { after: undefined, limit: 10 });
    expect(list.map(({ name, description, delivery }) => [name, description, delivery])).toEqual([
      ["A", "old", "file"],
      ["B", "new", "file"],
      ["C", "old", "environment"],
      ["D", undefined, "file"],
    ]);
  });

  it("of one secret are versions one after the other", async () => {
    const { store } = spied();
    const who = caller(randomUUID());
    const outcomes = await Promise.all(
      Array.from({ length: 12 }, (_, n) => store.write(who, write(n % 3 === 0 ? "A" : "B"))),
    );
    const versions = outcomes.map((outcome) =>
      outcome.kind === "written" ? `${outcome.secret.name}${outcome.secret.version}` : "refused",
    );
    expect(new Set(versions).size).toBe(12);
    expect(versions).toContain("A4");
    expect(versions).toContain("B8");
  });

  it("do not fail for one among them that is refused", async () => {
    const { store } = spied();
    const who = caller(randomUUID());
    await store.write(who, write("A", { asFile: true }));
    const outcomes = await Promise.all(
      ["B", "A_FILE", "C"].map((name) => store.write(who, write(name, { asFile: false }))),
    );
    expect(outcomes.map(({ kind }) => kind)).toEqual(["written", "variable-taken", "written"]);
  });

  it("with one request id are one write, also within one statement", async () => {
    const { store } = spied();
    const who = caller(randomUUID());
    const request = { id: "once", bodyHash: Buffer.alloc(32) };
    const outcomes = await Promise.all(
      ["A", "B"].map((name) => store.write(who, write(name, { request }))),
    );
    expect(outcomes.map(({ kind }) => kind).sort()).toEqual(["repeated", "written"]);
    expect(await store.list(who.tenantId, "", { after: undefined, limit: 10 })).toHaveLength(1);
  });

  it("all fail when PostgreSQL is away, and none is tried again behind their backs", async () => {
    const { store, count } = spied(() => true);
    const who = caller(randomUUID());
    const writes = Array.from({ length: 10 }, (_, n) => store.write(who, write(`S_${n}`)));
    for (const outcome of await Promise.allSettled(writes))
      expect(outcome).toMatchObject({ status: "rejected", reason: { code: "UNAVAILABLE" } });
    expect(count()).toBeLessThanOrEqual(3);
  });

  it("of the same secrets in another order by another replica do not lock each other out", async () => {
    const replicas = [spied(), spied()];
    const stores = replicas.map(({ store }) => store);
    const who = caller(randomUUID());
    const names = Array.from({ length: 200 }, (_, n) => `S_${n}`);
    for (let round = 0; round < 10; round++)
      await Promise.all(
        stores.flatMap((store, replica) =>
          (replica === 0 ? names : [...names].reverse()).map((name) =>
            store.write(who, write(name)),
          ),
        ),
      );
    const list = await stores[0]!.list(who.tenantId, "", { after: undefined, limit: 300 });
    expect(list.every(({ version }) => version === 20n)).toBe(true);
    expect(replicas.flatMap(({ errors }) => errors)).toEqual([]);
  });
});
