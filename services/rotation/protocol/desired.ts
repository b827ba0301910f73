import { greatest, type Ordinal } from "./generation";

/**
 * Desired only rises: of two rekeys that commit in the other order the later generation wins
 * everywhere. In SQL: `desired = greatest(desired, $1)`.
 */
export function raiseDesired<G extends Ordinal>(current: G | undefined, next: G): G {
  return greatest(current, next);
}

/**
 * Whether an agent must get its desired generation: it has none, or an older one. A later one than
 * desired is kept (the service was restored from a dump; its next rekey passes it).
 */
export function shouldFetch<G extends Ordinal>(
  desired: G | undefined,
  applied: G | undefined,
): boolean {
  return desired !== undefined && desired > 0 && (applied === undefined || desired > applied);
}
