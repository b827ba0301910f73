import { greatest, type Ordinal } from "./generation";

/**
 * The lowest generation of an agent that is still needed: what it should be on, what it is on (to
 * repair a damaged file, and to know who holds a version), what a rollback may go back to.
 *
 * Undefined, nothing is released, while it has no desired generation or none is known to be
 * applied: its VM may be applying any, and its ack may be under way.
 */
export function releaseFloor<G extends Ordinal>(needed: {
  desired: G | undefined;
  applied: G | undefined;
  rollbackSources: readonly G[];
}): G | undefined {
  const { desired, applied, rollbackSources } = needed;
  if (desired === undefined || applied === undefined) return undefined;
  return [applied, ...rollbackSources].reduce(
    (floor, generation) => (generation < floor ? generation : floor),
    desired,
  );
}

/** The floor after a release, whatever the order in which releases arrive: it only rises. */
export function raiseFloor<G extends Ordinal>(current: G | undefined, released: G): G {
  return greatest(current, released);
}

/**
 * What a fetch is answered. `below-floor`: nothing needs it, ask rotation what is desired.
 * `gone`: it expired, was destroyed, or never was; rotation answers with a new snapshot.
 */
export type FetchVerdict = "deliver" | "below-floor" | "gone";

export function fetchVerdict<G extends Ordinal>(
  generation: G,
  row: { floor: G | undefined; readable: boolean },
): FetchVerdict {
  if (row.floor !== undefined && generation < row.floor) return "below-floor";
  return row.readable ? "deliver" : "gone";
}

/** Whether a VM's report that a generation is gone asks for a new one: it is still the desired one. */
export function needsNewSnapshot<G extends Ordinal>(desired: G | undefined, gone: G): boolean {
  return desired !== undefined && desired <= gone;
}
