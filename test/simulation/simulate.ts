import {
  reduce as production,
  type Reduce,
} from "../../services/rotation/protocol/machine/machine";
import type { Effect, Event } from "../../services/rotation/protocol/machine/messages";
import type { World } from "../../services/rotation/protocol/machine/world";
import { comeToRest } from "./rest";
import { playFaults } from "./schedule";
import { Simulation } from "./simulation";
import { startingWorld } from "./starting-world";
import { Violation } from "./violation";

const FEWEST_STEPS = 60;
const MORE_STEPS = 60;

/** A schedule that broke an invariant; `simulate(seed)` plays exactly the same one again. */
export interface Failure {
  seed: number;
  what: string;
}

export interface SimulateOptions {
  /** The machine under test: the production one, unless a defect is planted. */
  reduce?: Reduce;
  /** Is told every event and what it sent, to read a failing schedule. */
  trace?: (event: Event, effects: readonly Effect[]) => void;
}

let start: World | undefined;

/** Plays the schedule of a seed: faults first, then rest. Undefined when all invariants held. */
export function simulate(seed: number, options: SimulateOptions = {}): Failure | undefined {
  start ??= startingWorld();
  const reduce = options.reduce ?? production;
  const simulation = new Simulation(seed, start, reduce, options.trace);
  try {
    const steps = FEWEST_STEPS + simulation.random.below(MORE_STEPS);
    playFaults(simulation, steps);
    comeToRest(simulation);
    return undefined;
  } catch (error) {
    if (error instanceof Violation) return { seed, what: error.message };
    throw error;
  }
}
