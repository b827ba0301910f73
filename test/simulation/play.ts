import { reduce } from "../../services/rotation/protocol/machine/machine";
import type { Effect, Event, ToReplica } from "../../services/rotation/protocol/machine/messages";
import { emptyWorld, type World } from "../../services/rotation/protocol/machine/world";

/** A message on its way, or something that is about to happen to a party. */
export type Happening = Exclude<Effect, { to: "client" }>;

/** Plays one thing after the other, each with all that follows, over a network without faults. */
export function play(world: World, happenings: readonly Happening[], atMs = 0): World {
  return happenings.reduce((before, happening) => playOne(before, happening, atMs), world);
}

function playOne(world: World, happening: Happening, atMs: number): World {
  let now = world;
  const queue = [happening];
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const event: Event = { ...next, atMs };
    const { world: after, effects } = reduce(now, event);
    now = after;
    for (const effect of effects) if (effect.to !== "client") queue.push(effect);
    for (const { requestId } of now.catalog.transactions) {
      queue.push({ to: "catalog", message: { kind: "advance", requestId, locks: 9 } });
    }
  }
  return now;
}

export const atCatalog = (message: Extract<Effect, { to: "catalog" }>["message"]): Happening => ({
  to: "catalog",
  message,
});

export const atReplica = (message: ToReplica): Happening => ({ to: "replica", id: "r1", message });

export const contact = (id: string): Happening => ({
  to: "vm",
  id,
  message: { kind: "contact", replicaId: "r1" },
});

export const setSecret = (name: string): Happening => atCatalog({ kind: "set-secret", name });

export const spawn = (agentId: string, parentId: string | undefined, vmId: string): Happening =>
  atReplica({ kind: "spawn", agentId, parentId, vmId, spawnSecrets: false });

export const rekey = (requestId: string, ...rootIds: string[]): Happening =>
  atReplica({ kind: "rekey", requestId, rootIds });

/** Agent `a` on v1 with its child `b` on v2, and `c` beside them on v2, all on version 1 of KEY. */
export function runningWorld(): World {
  return play(emptyWorld({ replicaIds: ["r1"], vmIds: ["v1", "v2"] }), [
    setSecret("KEY"),
    contact("v1"),
    contact("v2"),
    spawn("a", undefined, "v1"),
    spawn("b", "a", "v2"),
    spawn("c", undefined, "v2"),
  ]);
}
