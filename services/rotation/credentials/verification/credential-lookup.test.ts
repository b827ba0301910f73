import { LEASE_MS, leaseOver } from "../../../../lib/lease";
import { FakeClock } from "../../../../test/fakes/fake-clock";
import type { Credential } from "../domain/credential";
import type { FoundCredential } from "../store/credential-store";
import type { ChangesSince } from "./credential-changes";
import { createCredentialLease } from "./credential-lease";
import { createCredentialLookup } from "./credential-lookup";

const [HASH, OTHER] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
const KEY = HASH.toString("base64");

describe("credentials in memory", () => {
  it("are answered for without the database while nothing has changed", async () => {
    const replica = await startReplica();
    for (let at = 0; at < 10; at++) {
      await replica.clock.advance(LEASE_MS / 2);
      expect(await replica.isKnown()).toBe(true);
    }
    expect(replica.lookUps).toBe(1);
  });

  it("are forgotten when they have changed, and the others are not", async () => {
    const replica = await startReplica();
    await replica.find(OTHER);
    replica.database.changed = [KEY];
    await replica.clock.advance(LEASE_MS / 2);
    await replica.find(OTHER); // has it looked for changes
    await replica.settle();
    expect(replica.lookUps).toBe(2);
    await replica.find(HASH);
    expect(replica.lookUps).toBe(3);
    await replica.find(OTHER);
    expect(replica.lookUps).toBe(3);
  });

  it("are answered for by the database as soon as the lease is over, and not at all without it", async () => {
    const replica = await startReplica();
    replica.database.isAway = true;
    await replica.clock.advance(LEASE_MS);
    expect(await replica.isKnown()).toBe(true);
    await replica.clock.advance(1);
    await expect(replica.isKnown()).rejects.toThrow("away");
  });

  it("are not known any more when the database was away, even for a moment", async () => {
    const replica = await startReplica();
    replica.database.isAway = true;
    await replica.clock.advance(LEASE_MS / 2);
    await replica.isKnown();
    await replica.settle();
    replica.database.isAway = false;
    await replica.isKnown();
    expect(replica.lookUps).toBe(2);
  });

  it("are not known any more when the database is an older one", async () => {
    const replica = await startReplica();
    replica.database.next = 1n;
    await replica.clock.advance(LEASE_MS / 2);
    await replica.isKnown();
    await replica.settle();
    await replica.isKnown();
    expect(replica.lookUps).toBe(2);
  });

  it("are not known any more when so many have changed that they are not named", async () => {
    const replica = await startReplica();
    replica.database.isCut = true;
    await replica.clock.advance(LEASE_MS / 2);
    await replica.isKnown();
    await replica.settle();
    await replica.isKnown();
    expect(replica.lookUps).toBe(2);
  });

  it("are not kept when they were read before a change that was noticed meanwhile", async () => {
    const replica = await startReplica();
    const slow = replica.holdLookUps();
    const answer = replica.find(OTHER);
    replica.database.changed = [OTHER.toString("base64")];
    await replica.clock.advance(LEASE_MS / 2);
    await replica.isKnown();
    await replica.settle();
    slow.release();
    await answer;
    replica.database.changed = [];
    await replica.find(OTHER);
    expect(replica.lookUps).toBe(3);
  });

  it("are not answered for past their own end, whatever the lease says", async () => {
    const replica = await startReplica(40);
    await replica.clock.advance(39);
    expect((await replica.find(HASH)).get(KEY)?.validForMs).toBe(1);
    expect(replica.lookUps).toBe(1);
    await replica.clock.advance(1);
    await replica.isKnown();
    expect(replica.lookUps).toBe(2);
  });

  it.each([
    ["forward", 3_600_000, 2],
    ["forward by little", 10, 2],
    ["back", -3_600_000, 1],
  ])("end by the database's clock when it steps %s", async (_way, stepMs, lookUps) => {
    const replica = await startReplica(LEASE_MS);
    replica.database.ms += stepMs;
    await replica.clock.advance(LEASE_MS / 2);
    await replica.isKnown();
    await replica.settle(); // it has looked at the clock
    await replica.clock.advance(LEASE_MS / 2 - 10);
    await replica.isKnown();
    expect(replica.lookUps).toBe(lookUps);
  });

  it("of one tenant are unknown to another", async () => {
    const replica = await startReplica();
    expect((await replica.find(HASH, "t2")).size).toBe(0);
  });
});

it("a lease is over for all when whoever ends a credential has waited for it", async () => {
  const clock = new FakeClock();
  let isOver = false;
  const over = leaseOver(clock).then(() => (isOver = true));
  await clock.advance(LEASE_MS);
  expect(isOver).toBe(false);
  await clock.advance(1);
  await over;
  expect(isOver).toBe(true);
});

interface FakeDatabase {
  isAway: boolean;
  changed: string[];
  isCut: boolean;
  next: bigint;
  ms: number;
}

/** A replica that has found HASH, and keeps it, with a database that behaves as told. */
async function startReplica(validForMs?: number) {
  const clock = new FakeClock();
  const database: FakeDatabase = {
    isAway: false,
    changed: [],
    isCut: false,
    next: 10n,
    ms: 1_000_000,
  };
  const counts = { lookUps: 0 };
  let gate = Promise.resolve();
  const expiresAt = validForMs && new Date(database.ms + clock.monotonicMs() + validForMs);
  const credential = { tenantId: "t1", id: "c1", state: "active", expiresAt } as Credential;
  const db = { query: () => Promise.reject(new Error("not used")) };
  const lease = createCredentialLease({
    ...{ clock, db },
    readChanges(): Promise<ChangesSince> {
      if (database.isAway) return Promise.reject(new Error("away"));
      const databaseMs = database.ms + clock.monotonicMs();
      const credentials = database.changed.map((hash) => ({ tenantId: "t1", id: "c1", hash }));
      const position = { text: "", from: database.next, to: database.next };
      const isCut = database.isCut;
      return Promise.resolve({ credentials, people: [], position, isCut, databaseMs });
    },
  });
  const lookup = createCredentialLookup({
    ...{ clock, db, lease },
    credentials: {
      async findByHash(_db, tenantId, hashes) {
        counts.lookUps += 1;
        await gate;
        if (database.isAway) throw new Error("away");
        const found: FoundCredential = { credential, validForMs };
        const isOurs = tenantId === undefined || tenantId === credential.tenantId;
        return new Map(isOurs ? hashes.map((hash) => [hash.toString("base64"), found]) : []);
      },
    },
  });
  const settle = () => clock.advance(0);
  const find = (hash: Buffer, tenantId = "t1") => lookup.find(tenantId, [hash]);
  const replica = {
    ...{ clock, database, settle, find },
    get lookUps() {
      return counts.lookUps;
    },
    isKnown: async () => (await find(HASH)).has(KEY),
    holdLookUps() {
      let release = () => {};
      gate = new Promise((resolve) => (release = resolve));
      return { release };
    },
  };
  // The first look for changes begins with the first question; what that finds is not kept yet.
  await replica.isKnown();
  await settle();
  await replica.isKnown();
  counts.lookUps -= 1;
  return replica;
}
