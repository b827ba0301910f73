import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { randomBytes } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sensitive } from "../../../lib/sensitive";
import { createTestKeyProvider } from "../../../test/harness/key-provider";
import { createTestDatabase, type TestDatabase } from "../../../test/harness/postgres";
import type { KeyStore } from "../store/key-store";
import { createPostgresKeyStore } from "../store/postgres-key-store";
import { withKeyCheck, WrongKeyProvider } from "./key-check";
import { openKeyProvider } from "./open-key-provider";

let database: TestDatabase;
let store: KeyStore;
let directory: string;
beforeEach(async () => {
  database = await createTestDatabase("catalog");
  store = createPostgresKeyStore(database.pool);
  directory = mkdtempSync(join(tmpdir(), "murmur-check-"));
});
afterEach(async () => {
  await database.drop();
  rmSync(directory, { recursive: true, force: true });
});

const local = (file: string) => ({ kind: "local", keyringFile: join(directory, file) }) as const;

describe("the key check", () => {
  it("lets the keyring that a database was made with start again", async () => {
    await withKeyCheck(store, await openKeyProvider(store, local("a"))).check();
    await withKeyCheck(store, await openKeyProvider(store, local("a"))).check();
  });

  it("refuses another keyring", async () => {
    await withKeyCheck(store, createTestKeyProvider()).check();
    await expect(withKeyCheck(store, createTestKeyProvider()).check()).rejects.toThrow(
      WrongKeyProvider,
    );
  });

  it("refuses another kind of provider, and names both", async () => {
    await withKeyCheck(store, createTestKeyProvider()).check();
    const other = { ...createTestKeyProvider(), name: "vault-transit" as const };
    await expect(withKeyCheck(store, other).check()).rejects.toThrow(/"local".*"vault-transit"/);
  });

  it("makes no new keyring for a database whose keys are wrapped under a lost one", async () => {
    await withKeyCheck(store, await openKeyProvider(store, local("a"))).check();
    await expect(openKeyProvider(store, local("b"))).rejects.toThrow(/b is missing/);
    expect(existsSync(join(directory, "b"))).toBe(false);
  });

  it("binds a new database to one of two keyrings that come at once", async () => {
    const checks = [createTestKeyProvider(), createTestKeyProvider()].map((provider) =>
      withKeyCheck(store, provider).check(),
    );
    const outcomes = await Promise.allSettled(checks);
    expect(outcomes.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
  });

  it("comes before the first use, and waits for a provider that is away", async () => {
    await withKeyCheck(store, createTestKeyProvider()).check();
    const wrong = createTestKeyProvider();
    const provider = withKeyCheck(store, wrong);
    wrong.isAway = true;
    const key = sensitive(randomBytes(64));
    await expect(provider.wrap(key)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    wrong.isAway = false;
    await expect(provider.wrap(key)).rejects.toThrow(WrongKeyProvider);
  });
});
