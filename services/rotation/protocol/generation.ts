/**
 * The number of one immutable environment of one agent; 1 is the first, later ones are higher.
 * Stores and protos hold it as bigint, the simulator as number: the rules take either.
 */
export type Ordinal = number | bigint;

/** The next number of an agent's generation row; call it only while that row is locked. */
export function nextGeneration(last: number | undefined): number {
  return (last ?? 0) + 1;
}

/** The larger one; an absent one counts as lower than any. */
export function greatest<G extends Ordinal>(current: G | undefined, next: G): G {
  return current !== undefined && current > next ? current : next;
}
