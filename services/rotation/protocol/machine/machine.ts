import { catalogHandlers, type CatalogTurn } from "./catalog";
import type { Effect, Event, ToCatalog, ToReplica, ToVm } from "./messages";
import { rotationHandlers, type RotationHandlers } from "./rotation";
import type { RotationTurn } from "./rotation-turn";
import { productionRules, type Rules } from "./rules";
import { vmHandlers, type VmTurn } from "./vm";
import type { World } from "./world";

/** What follows from one event: the world after it, and the messages that it sends. */
export interface Reduction {
  world: World;
  effects: readonly Effect[];
}

export type Reduce = (world: World, event: Event) => Reduction;

type Table<Turn, M extends { kind: string }> = {
  [K in M["kind"]]: (turn: Turn, message: Extract<M, { kind: K }>) => void;
};

/** Calls the handler of a message's kind; the table's type says that they fit. */
function dispatch<Turn, M extends { kind: string }>(
  table: Table<Turn, M>,
  turn: Turn,
  message: M,
): void {
  const handler = table[message.kind as M["kind"]] as (turn: Turn, message: M) => void;
  handler(turn, message);
}

/** The machine, composed of decisions; other ones than the production's make a defective one. */
export function createMachine(
  parts: { rules?: Partial<Rules>; rotation?: Partial<RotationHandlers> } = {},
): Reduce {
  const rules: Rules = { ...productionRules, ...parts.rules };
  const handlers: RotationHandlers = { ...rotationHandlers, ...parts.rotation };
  return (world, event) => {
    const effects: Effect[] = [];
    const { atMs } = event;
    if (event.to === "catalog") {
      const turn: CatalogTurn = { rules, atMs, effects, state: world.catalog };
      dispatch<CatalogTurn, ToCatalog>(catalogHandlers, turn, event.message);
      return { world: { ...world, catalog: turn.state }, effects };
    }
    if (event.to === "vm") {
      const state = world.vms[event.id];
      if (state === undefined) return { world, effects };
      const turn: VmTurn = { rules, vmId: event.id, effects, state };
      dispatch<VmTurn, ToVm>(vmHandlers, turn, event.message);
      return { world: { ...world, vms: { ...world.vms, [event.id]: turn.state } }, effects };
    }
    const memory = world.replicas[event.id];
    if (memory === undefined) return { world, effects };
    const turn: RotationTurn = {
      rules,
      replicaId: event.id,
      atMs,
      effects,
      db: world.rotation,
      memory,
    };
    dispatch<RotationTurn, ToReplica>(handlers, turn, event.message);
    const replicas = { ...world.replicas, [event.id]: turn.memory };
    return { world: { ...world, rotation: turn.db, replicas }, effects };
  };
}

/** One step of the protocol as it is built: pure, total, without clock, sockets or SQL. */
export const reduce: Reduce = createMachine();
