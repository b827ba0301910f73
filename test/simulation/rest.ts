import { REPLICAS, VMS } from "./client";
import { unrest } from "./rest-invariants";
import { advance } from "./schedule";
import type { Simulation } from "./simulation";
import { Violation } from "./violation";

const MOST_ROUNDS = 9;
const MOST_EVENTS = 4000;
const HOUR_MS = 3_600_000;

/** Faults stop: all parties are up, nothing is lost. Everything must come to rest, and be right. */
export function comeToRest(simulation: Simulation): void {
  simulation.down.clear();
  simulation.client.patient = true;
  for (const id of VMS) simulation.apply({ to: "vm", id, message: { kind: "disk", full: false } });
  let wrong: string[] = [];
  for (let round = 1; round <= MOST_ROUNDS; round += 1) {
    playRound(simulation);
    const { client, observer, world } = simulation;
    if (round > 1) wrong = unrest(world, observer.history, client.unanswered());
    if (round > 1 && wrong.length === 0) return;
    passTime(simulation);
  }
  throw new Violation(`does not come to rest: ${wrong.join("; ")}`);
}

/** Every timer fires once, every caller asks again, and all that follows from it is delivered. */
function playRound(simulation: Simulation): void {
  simulation.client.retryAll();
  for (const id of VMS) {
    const replicaId = simulation.client.anyReplica();
    simulation.send({ to: "vm", id, message: { kind: "contact", replicaId } });
  }
  toReplicas(simulation, "tail");
  settle(simulation);
  toReplicas(simulation, "sweep");
  settle(simulation);
}

function toReplicas(simulation: Simulation, kind: "tail" | "sweep"): void {
  for (const id of REPLICAS) simulation.send({ to: "replica", id, message: { kind } });
}

function settle(simulation: Simulation): void {
  let idle = 0;
  while (simulation.events < MOST_EVENTS) {
    const message = simulation.takeMessage();
    if (message !== undefined) {
      simulation.deliver(message);
      idle = 0;
      continue;
    }
    // Those that have their locks first: the others may wait for them.
    const open = simulation.world.catalog.transactions;
    const locked = open.filter(({ stepsDone }) => stepsDone > 0);
    const next = simulation.random.pick(locked.length > 0 ? locked : open);
    // Transactions that wait for each other would go on for ever without getting anywhere.
    if (next === undefined || idle > 40) return;
    advance(simulation, next);
    idle += 1;
  }
}

/**
 * Long enough for every lease and every unconfirmed snapshot to end, and for replicas to have told
 * before what they need.
 */
function passTime(simulation: Simulation): void {
  toReplicas(simulation, "sweep");
  settle(simulation);
  simulation.nowMs += HOUR_MS + 1;
  simulation.apply({ to: "catalog", message: { kind: "expire" } });
}
