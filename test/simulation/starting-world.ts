import { emptyWorld, type World } from "../../services/rotation/protocol/machine/world";
import { REPLICAS, SECRETS, VMS } from "./client";
import { contact, play, rekey, setSecret, spawn, type Happening } from "./play";

/** Secrets, two trees of agents over two VMs, all running and at rest: where schedules begin. */
export function startingWorld(): World {
  const upkeep = REPLICAS.flatMap((id): Happening[] => [
    { to: "replica", id, message: { kind: "tail" } },
    { to: "replica", id, message: { kind: "sweep" } },
  ]);
  return play(emptyWorld({ replicaIds: REPLICAS, vmIds: VMS }), [
    ...SECRETS.map(setSecret),
    ...VMS.map(contact),
    spawn("a", undefined, "v1"),
    spawn("a1", "a", "v2"),
    spawn("a11", "a1", "v1"),
    spawn("b", undefined, "v2"),
    // One rollout is behind them: "a" and its tree have moved on, "b" has not.
    ...SECRETS.map(setSecret),
    rekey("rekey-0", "a"),
    ...upkeep,
  ]);
}
