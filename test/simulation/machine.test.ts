import { reduce } from "../../services/rotation/protocol/machine/machine";
import type { Event } from "../../services/rotation/protocol/machine/messages";
import { atCatalog, atReplica, contact, play, rekey, runningWorld, setSecret, spawn } from "./play";

const HOUR_MS = 3_600_000;

test("a spawned agent gets its environment and runs", () => {
  const world = runningWorld();
  expect(world.rotation.agents["b"]).toMatchObject({ phase: "running", desired: 1, applied: 1 });
  expect(world.vms["v2"]?.files["b"]).toEqual({ generation: 1, pins: { KEY: 1 } });
});

test("a rekey brings an agent and its child on another VM to the new version, and nobody else", () => {
  const world = play(runningWorld(), [setSecret("KEY"), rekey("rekey-1", "a")]);
  expect(world.vms["v1"]?.files["a"]).toEqual({ generation: 2, pins: { KEY: 2 } });
  expect(world.vms["v2"]?.files["b"]).toEqual({ generation: 2, pins: { KEY: 2 } });
  expect(world.vms["v2"]?.files["c"]).toEqual({ generation: 1, pins: { KEY: 1 } });
  const states = Object.values(world.rotation.rollouts["rekey-1"]?.targets ?? {});
  expect(states.map(({ state }) => state)).toEqual(["applied", "applied"]);
});

test("a repeated request starts no second rollout", () => {
  const once = play(runningWorld(), [rekey("rekey-1", "a")]);
  expect(play(once, [rekey("rekey-1", "a")]).rotation).toEqual(once.rotation);
});

test("a rollback is a new generation with the old versions, but for what was deleted since", () => {
  const after = play(runningWorld(), [
    setSecret("OTHER"),
    rekey("rekey-0", "a"),
    setSecret("KEY"),
    rekey("rekey-1", "a"),
    atCatalog({ kind: "delete-secret", name: "OTHER" }),
    atReplica({ kind: "rollback", requestId: "back-1", rolloutId: "rekey-1" }),
  ]);
  expect(after.vms["v1"]?.files["a"]).toEqual({ generation: 4, pins: { KEY: 1 } });
  expect(after.rotation.rollouts["back-1"]).toMatchObject({
    kind: "rollback",
    notRolledBack: ["OTHER"],
  });
});

test("a rollback that has nothing to go back to is refused", () => {
  const first = { ...spawn("new", undefined, "v1"), atMs: 0 };
  // Its own snapshot is never asked for: the rekey gives it its first generation.
  const world = play(reduce(runningWorld(), first).world, [rekey("rekey-1", "new")]);
  expect(world.vms["v1"]?.files["new"]?.generation).toBe(1);
  const back = atReplica({ kind: "rollback", requestId: "back-1", rolloutId: "rekey-1" });
  expect(reduce(world, { ...back, atMs: 0 }).effects).toEqual([
    { to: "client", message: { kind: "answer", requestId: "back-1", outcome: "refused" } },
  ]);
});

test("a kill ends the agent and its child on another VM, and leaves nothing of them", () => {
  const killed = play(runningWorld(), [
    atReplica({ kind: "kill", requestId: "kill-1", agentId: "a" }),
    atReplica({ kind: "sweep" }),
  ]);
  expect(killed.rotation.agents["a"]?.phase).toBe("cancelled");
  expect(killed.rotation.agents["b"]?.phase).toBe("cancelled");
  expect(Object.keys(killed.vms["v2"]?.files ?? {})).toEqual(["c"]);
  expect(killed.catalog.agents["b"]?.snapshots).toEqual({});
});

test("a rebooted VM gets everything again at its first contact", () => {
  const reboot = { to: "vm", id: "v2", message: { kind: "reboot" } } as const;
  const world = play(runningWorld(), [reboot]);
  expect(world.vms["v2"]?.files).toEqual({});
  const back = play(world, [contact("v2")]);
  expect(Object.keys(back.vms["v2"]?.files ?? {})).toEqual(["b", "c"]);
});

test("an old version ends only when the agents of other trees are off it too", () => {
  const revoke = atReplica({
    kind: "revoke-when-applied",
    requestId: "revoke-1",
    name: "KEY",
    version: 1,
    rolloutId: "rekey-1",
  });
  const sweep = atReplica({ kind: "sweep" });
  const held = play(runningWorld(), [setSecret("KEY"), rekey("rekey-1", "a")]);
  const asked = play(held, [revoke, sweep]);
  expect(asked.rotation.revocations["revoke-1"]?.ended).toBe(false);
  const free = play(asked, [rekey("rekey-2", "c"), sweep]);
  expect(free.rotation.revocations["revoke-1"]?.ended).toBe(true);
  expect(free.catalog.secrets["KEY"]?.revoked).toEqual([1]);
});

test("spawn-time secrets of a spawn that never came are gone after ten minutes", () => {
  const stored = play(runningWorld(), [atCatalog({ kind: "store-spawn-secrets", agentId: "new" })]);
  expect(stored.catalog.spawnSecrets).toHaveProperty("new");
  const later = play(stored, [atCatalog({ kind: "expire" })], HOUR_MS / 6);
  expect(later.catalog.spawnSecrets).toEqual({});
});

test("an agent whose spawn-time secrets have expired fails instead of starting without them", () => {
  const asked = { kind: "spawn", agentId: "new", parentId: undefined, vmId: "v1" } as const;
  const world = play(runningWorld(), [atReplica({ ...asked, spawnSecrets: true })]);
  expect(world.rotation.agents["new"]?.phase).toBe("failed");
});

test("a snapshot that was never committed is gone after an hour, and the desired one is not", () => {
  const agents = [{ agentId: "a", rollbackTo: undefined, expectsSpawnSecrets: false }];
  const lost = atCatalog({ kind: "snapshot", requestId: "lost", replyTo: "gone", agents });
  const world = play(runningWorld(), [atReplica({ kind: "sweep" }), lost]);
  expect(Object.keys(world.catalog.agents["a"]?.snapshots ?? {})).toEqual(["1", "2"]);
  const later = play(world, [atCatalog({ kind: "expire" })], HOUR_MS);
  expect(Object.keys(later.catalog.agents["a"]?.snapshots ?? {})).toEqual(["1"]);
});

test("an event at one party leaves the others untouched, and the world before it too", () => {
  const before = runningWorld();
  const copy = structuredClone(before);
  const { world } = reduce(before, { ...setSecret("KEY"), atMs: 1 });
  expect(before).toEqual(copy);
  expect(world.rotation).toBe(before.rotation);
  expect(world.vms).toBe(before.vms);
});

test("the same event in the same world has the same consequences", () => {
  const world = runningWorld();
  const event: Event = { ...rekey("rekey-1", "a"), atMs: 5 };
  expect(reduce(world, event)).toEqual(reduce(world, event));
});

test("a world is plain data", () => {
  const world = runningWorld();
  expect(structuredClone(world)).toEqual(world);
});
