import { reduce } from "../../services/rotation/protocol/machine/machine";
import type { Happening } from "./simulation";
import { emptyWorld, type World } from "../../services/rotation/protocol/machine/world";
import { REPLICAS, SECRETS, VMS } from "./client";

const agents = [
  { agentId: "a", parentId: undefined, vmId: "v1" },
  { agentId: "a1", parentId: "a", vmId: "v2" },
  { agentId: "a11", parentId: "a1", vmId: "v1" },
  { agentId: "b", parentId: undefined, vmId: "v2" },
];

/** Secrets, two trees of agents over two VMs, all running and at rest: where every schedule begins. */
export function startingWorld(): World {
  let world = emptyWorld({ replicaIds: REPLICAS, vmIds: VMS });
  const play = (first: Happening): void => {
    const queue = [first];
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const reduction = reduce(world, { ...next, atMs: 0 });
      world = reduction.world;
      for (const effect of reduction.effects) if (effect.to !== "client") queue.push(effect);
      for (const { requestId } of world.catalog.transactions) {
        queue.push({ to: "catalog", message: { kind: "advance", requestId, locks: 9 } });
      }
    }
  };
  for (const name of SECRETS) play({ to: "catalog", message: { kind: "set-secret", name } });
  for (const id of VMS) play({ to: "vm", id, message: { kind: "contact", replicaId: "r1" } });
  for (const agent of agents) {
    play({
      to: "replica",
      id: "r1",
      message: { kind: "spawn", ...agent, spawnSecrets: false },
    });
  }
  // One rollout is behind them: "a" and its tree have moved on, "b" has not.
  for (const name of SECRETS) play({ to: "catalog", message: { kind: "set-secret", name } });
  const rekey = { kind: "rekey", requestId: "rekey-0", rootId: "a" } as const;
  play({ to: "replica", id: "r1", message: rekey });
  for (const id of REPLICAS) {
    play({ to: "replica", id, message: { kind: "tail" } });
    play({ to: "replica", id, message: { kind: "sweep" } });
  }
  return world;
}
