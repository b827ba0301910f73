import { reduce } from "./machine";
import type { Effect, Event } from "./messages";
import { emptyWorld, type World } from "./world";

type Happening = Exclude<Effect, { to: "client" }>;

/** Plays something and all that follows from it, over a network without faults. */
function play(world: World, ...happenings: Happening[]): World {
  let now = world;
  const queue = [...happenings];
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const event: Event = { ...next, atMs: 0 };
    const { world: after, effects } = reduce(now, event);
    now = after;
    for (const effect of effects) if (effect.to !== "client") queue.push(effect);
    for (const { requestId } of now.catalog.transactions) {
      queue.push({ to: "catalog", message: { kind: "advance", requestId, locks: 9 } });
    }
  }
  return now;
}

const set = (name: string): Happening => ({ to: "catalog", message: { kind: "set-secret", name } });
const contact = (id: string): Happening => ({
  to: "vm",
  id,
  message: { kind: "contact", replicaId: "r1" },
});
const spawn = (agentId: string, parentId: string | undefined, vmId: string): Happening => ({
  to: "replica",
  id: "r1",
  message: { kind: "spawn", agentId, parentId, vmId, spawnSecrets: false },
});
const rekey = (requestId: string, rootId: string): Happening => ({
  to: "replica",
  id: "r1",
  message: { kind: "rekey", requestId, rootId },
});

function running(): World {
  return play(
    emptyWorld({ replicaIds: ["r1"], vmIds: ["v1", "v2"] }),
    set("KEY"),
    contact("v1"),
    contact("v2"),
    spawn("a", undefined, "v1"),
    spawn("b", "a", "v2"),
  );
}

test("a spawned agent gets its environment and runs", () => {
  const world = running();
  expect(world.rotation.agents["b"]).toMatchObject({ phase: "running", desired: 1, applied: 1 });
  expect(world.vms["v2"]?.files["b"]).toEqual({ generation: 1, pins: { KEY: 1 } });
});

test("a rekey brings an agent and its child on another VM to the new version", () => {
  const world = play(running(), set("KEY"), rekey("rekey-1", "a"));
  expect(world.vms["v1"]?.files["a"]).toEqual({ generation: 2, pins: { KEY: 2 } });
  expect(world.vms["v2"]?.files["b"]).toEqual({ generation: 2, pins: { KEY: 2 } });
  const states = Object.values(world.rotation.rollouts["rekey-1"]?.targets ?? {});
  expect(states.map(({ state }) => state)).toEqual(["applied", "applied"]);
});

test("a repeated request starts no second rollout", () => {
  const once = play(running(), rekey("rekey-1", "a"));
  expect(play(once, rekey("rekey-1", "a")).rotation).toEqual(once.rotation);
});

test("an event at one party leaves the others untouched, and the world before it too", () => {
  const before = running();
  const copy = structuredClone(before);
  const { world } = reduce(before, { ...set("KEY"), atMs: 1 });
  expect(before).toEqual(copy);
  expect(world.rotation).toBe(before.rotation);
  expect(world.vms).toBe(before.vms);
});

test("the same event in the same world has the same consequences", () => {
  const world = running();
  const event: Event = { ...rekey("rekey-1", "a"), atMs: 5 };
  expect(reduce(world, event)).toEqual(reduce(world, event));
});

test("a world is plain data", () => {
  const world = running();
  expect(structuredClone(world)).toEqual(world);
});
