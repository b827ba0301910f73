import {
  isSnapshotExpired,
  isSpawnLeaseOver,
  SNAPSHOT_EXPIRY_MS,
  SPAWN_SECRET_LEASE_MS,
} from "./lease";

test("an unconfirmed snapshot lives for one hour", () => {
  const snapshot = { generation: 4, takenAtMs: 1000 };
  expect(SNAPSHOT_EXPIRY_MS).toBe(3_600_000);
  expect(isSnapshotExpired(snapshot, 3, 1000 + SNAPSHOT_EXPIRY_MS - 1)).toBe(false);
  expect(isSnapshotExpired(snapshot, 3, 1000 + SNAPSHOT_EXPIRY_MS)).toBe(true);
  expect(isSnapshotExpired(snapshot, undefined, 1000 + SNAPSHOT_EXPIRY_MS)).toBe(true);
});

test("a confirmed snapshot does not expire", () => {
  const snapshot = { generation: 4n, takenAtMs: 0 };
  expect(isSnapshotExpired(snapshot, 4n, 1000 * SNAPSHOT_EXPIRY_MS)).toBe(false);
  expect(isSnapshotExpired(snapshot, 5n, 1000 * SNAPSHOT_EXPIRY_MS)).toBe(false);
});

test("spawn-time secrets wait ten minutes for their agent, and for ever once it has come", () => {
  expect(SPAWN_SECRET_LEASE_MS).toBe(600_000);
  expect(isSpawnLeaseOver({ givenAtMs: 0, confirmed: false }, SPAWN_SECRET_LEASE_MS - 1)).toBe(
    false,
  );
  expect(isSpawnLeaseOver({ givenAtMs: 0, confirmed: false }, SPAWN_SECRET_LEASE_MS)).toBe(true);
  expect(isSpawnLeaseOver({ givenAtMs: 0, confirmed: true }, Number.MAX_SAFE_INTEGER)).toBe(false);
});
