import { LEASE_MS } from "../../../lib/lease";
import { FakeClock } from "../../../test/fakes/fake-clock";
import { createCredentialLease } from "../credentials/verification/credential-lease";
import { createKnownPeople } from "./known-people";
import type { KnownPerson, PersonRef } from "./store/person-store";

const BOB: PersonRef = { tenantId: "t1", developer: "github/bob" };

describe("people in memory", () => {
  it("are found at once while nothing has changed", async () => {
    const { find, looked, clock } = await startReplica();
    for (let times = 0; times < 5; times++) {
      await clock.advance(LEASE_MS / 2);
      expect(find(BOB)).toMatchObject({ role: "admin" });
    }
    expect(looked()).toBe(0);
  });

  it("are looked up when they have changed, and the others are not", async () => {
    const { find, looked, clock, database } = await startReplica();
    const eve = { ...BOB, developer: "github/eve" };
    await find(eve);
    database.changed = [BOB];
    await clock.advance(LEASE_MS / 2);
    await find(eve); // has it looked for changes
    await clock.advance(0);
    await find(eve);
    expect(looked()).toBe(1);
    database.role = "member";
    expect(await find(BOB)).toMatchObject({ role: "member" });
    expect(looked()).toBe(2);
  });

  it("are looked up when the lease is over", async () => {
    const { find, looked, clock } = await startReplica();
    await clock.advance(LEASE_MS + 1);
    await find(BOB);
    expect(looked()).toBe(1);
  });

  it("are those who are in a tenant: who was removed, or is of another, is looked up", async () => {
    const { find, looked, database } = await startReplica();
    await find({ ...BOB, tenantId: "t2" });
    database.isRemoved = true;
    const eve = { ...BOB, developer: "github/eve" };
    await find(eve);
    await find(eve);
    expect(looked()).toBe(3);
  });
});

/** A replica that has found Bob, and keeps him, with a database that behaves as told. */
async function startReplica() {
  const clock = new FakeClock();
  const database = {
    role: "admin" as KnownPerson["role"],
    isRemoved: false,
    changed: [] as PersonRef[],
  };
  let lookUps = 0;
  const db = { query: () => Promise.reject(new Error("not used")) };
  const lease = createCredentialLease({
    ...{ clock, db },
    readChanges: () => {
      const databaseMs = clock.monotonicMs();
      const position = { text: "", from: 1n, to: 1n };
      const { changed: people } = database;
      return Promise.resolve({ credentials: [], people, position, isCut: false, databaseMs });
    },
  });
  const people = {
    find: (_db: unknown, ref: PersonRef): Promise<KnownPerson> => {
      lookUps += 1;
      const { role, isRemoved } = database;
      const since = { addedAt: new Date(0), addedBy: "", tokensAfter: undefined };
      return Promise.resolve({ ...ref, ...since, role, isRemoved });
    },
  };
  const find = createKnownPeople({ db, people, lease });
  // The first look for changes begins with the first question; what that finds is not kept yet.
  await find(BOB);
  await clock.advance(0);
  await find(BOB);
  const before = lookUps;
  return { find, clock, database, looked: () => lookUps - before };
}
