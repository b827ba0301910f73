import { REPLICAS, VMS } from "./client";
import { biased, pickWeighted } from "./random";
import type { Simulation } from "./simulation";

const MINUTE_MS = 60_000;

type Happen = (simulation: Simulation) => void;

/** What may happen next and how often, in parts of a thousand. */
const HAPPENINGS: readonly (readonly [number, Happen])[] = [
  [450, deliverSomething],
  [150, advanceTransaction],
  [160, (s) => s.client.act()],
  [55, contact],
  [30, (s) => toReplica(s, "tail")],
  [35, (s) => toReplica(s, "sweep")],
  [15, expire],
  [12, exit],
  [12, fillDisk],
  [10, crashReplica],
  [8, crashCatalog],
  [14, crashDaemon],
  [9, reboot],
  [15, restart],
  [20, letTimePass],
];

/** Lets things happen, one after the other. */
export function playFaults(simulation: Simulation, steps: number): void {
  const happenings = biased(simulation.random, HAPPENINGS);
  for (let i = 0; i < steps; i += 1) {
    simulation.nowMs += simulation.random.below(2000);
    pickWeighted(simulation.random, happenings)?.(simulation);
  }
}

/** Any message, whichever was sent first; sometimes it is lost, sometimes it will come again. */
function deliverSomething(simulation: Simulation): void {
  const message = simulation.takeMessage();
  if (message === undefined) return;
  if (simulation.random.chance(0.05)) return;
  if (simulation.random.chance(0.1)) simulation.send(message.happening);
  simulation.deliver(message);
}

function advanceTransaction(simulation: Simulation): void {
  const transaction = simulation.random.pick(simulation.world.catalog.transactions);
  if (transaction === undefined) deliverSomething(simulation);
  else advance(simulation, transaction);
}

/** One open transaction of the catalog gets on by a step, if no other holds what it waits for. */
export function advance(simulation: Simulation, { requestId }: { requestId: string }): void {
  const locks = 1 + simulation.random.below(6);
  simulation.apply({ to: "catalog", message: { kind: "advance", requestId, locks } });
}

/** A VM's timer fires, or it is woken, or its stream broke: it turns to some replica. */
function contact(simulation: Simulation): void {
  const id = simulation.random.pick(VMS.filter((vm) => !simulation.down.has(vm)));
  if (id === undefined) return;
  const known = simulation.world.vms[id]?.replicaId;
  const stays = known !== undefined && simulation.random.chance(0.7);
  const replicaId = stays ? known : simulation.client.anyReplica();
  simulation.apply({ to: "vm", id, message: { kind: "contact", replicaId } });
}

function toReplica(simulation: Simulation, kind: "tail" | "sweep"): void {
  const id = simulation.random.pick(REPLICAS.filter((each) => !simulation.down.has(each)));
  if (id !== undefined) simulation.apply({ to: "replica", id, message: { kind } });
}

function expire(simulation: Simulation): void {
  simulation.apply({ to: "catalog", message: { kind: "expire" } });
}

function exit(simulation: Simulation): void {
  const id = simulation.random.pick(VMS) ?? "v1";
  const agentId = simulation.random.pick(Object.keys(simulation.world.vms[id]?.files ?? {}));
  if (agentId === undefined || simulation.down.has(id)) return;
  const phase = simulation.random.chance(0.5) ? "completed" : "failed";
  simulation.apply({ to: "vm", id, message: { kind: "exit", agentId, phase } });
}

function fillDisk(simulation: Simulation): void {
  const id = simulation.random.pick(VMS) ?? "v1";
  const full = simulation.random.chance(0.4);
  simulation.apply({ to: "vm", id, message: { kind: "disk", full } });
}

function crashReplica(simulation: Simulation): void {
  const id = simulation.random.pick(REPLICAS) ?? "r1";
  simulation.apply({ to: "replica", id, message: { kind: "crash" } });
  goDown(simulation, id);
}

function crashCatalog(simulation: Simulation): void {
  simulation.apply({ to: "catalog", message: { kind: "crash" } });
  goDown(simulation, "catalog");
}

function crashDaemon(simulation: Simulation): void {
  const id = simulation.random.pick(VMS) ?? "v1";
  simulation.apply({ to: "vm", id, message: { kind: "crash" } });
  goDown(simulation, id);
}

function reboot(simulation: Simulation): void {
  const id = simulation.random.pick(VMS) ?? "v1";
  simulation.apply({ to: "vm", id, message: { kind: "reboot" } });
  goDown(simulation, id);
}

/** Half of the crashed come back at once, the others when `restart` picks them. */
function goDown(simulation: Simulation, party: string): void {
  if (simulation.random.chance(0.5)) simulation.down.add(party);
}

function restart(simulation: Simulation): void {
  const party = simulation.random.pick([...simulation.down]);
  if (party !== undefined) simulation.down.delete(party);
}

/** Minutes, sometimes more than a lease, seldom more than the life of an unconfirmed snapshot. */
function letTimePass(simulation: Simulation): void {
  const dice = simulation.random.below(10);
  const minutes = dice < 5 ? 2 : dice < 8 ? 11 : 61;
  simulation.nowMs += minutes * MINUTE_MS;
}
