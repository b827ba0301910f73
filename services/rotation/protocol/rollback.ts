import type { Ordinal } from "./generation";
import { isVersionAlive, type Pins, type Secrets } from "./snapshot";

/**
 * The pins of the new generation that takes an agent back to `old`. A version that was deleted or
 * revoked since keeps its current state (another version, or absent) and is listed, sorted, in
 * `notRolledBack`. A name that `old` did not have is not in the result.
 */
export function rollbackPins(old: Pins, current: Secrets): { pins: Pins; notRolledBack: string[] } {
  const pins: Record<string, number> = {};
  const notRolledBack: string[] = [];
  for (const [name, version] of Object.entries(old)) {
    const secret = current[name];
    if (isVersionAlive(secret, version)) {
      pins[name] = version;
      continue;
    }
    notRolledBack.push(name);
    if (secret?.current !== undefined) pins[name] = secret.current;
  }
  return { pins, notRolledBack: notRolledBack.sort() };
}

/**
 * The generation that a rollback of a new target would take the agent back to: what was desired
 * until then. None for a first generation, or for a rollout that was overtaken before it was
 * committed; a rollback whose targets all have none is refused with FAILED_PRECONDITION.
 */
export function rollbackSource<G extends Ordinal>(
  desired: G | undefined,
  generation: G,
): G | undefined {
  return desired !== undefined && desired > 0 && desired < generation ? desired : undefined;
}

/** One target of an agent, as far as it decides what must be kept for a rollback. */
export interface RollbackCandidate<G extends Ordinal = Ordinal> {
  generation: G;
  source: G | undefined;
  rolloutOpen: boolean;
}

/**
 * The generations of one agent that a rollback may still need: the sources of its open rollouts
 * and of its latest one. So what is kept is bounded, and the last change can always be undone.
 */
export function openRollbackSources<G extends Ordinal>(
  targets: readonly RollbackCandidate<G>[],
): G[] {
  let latest: G | undefined;
  for (const { generation } of targets) {
    if (latest === undefined || generation > latest) latest = generation;
  }
  return targets.flatMap(({ generation, source, rolloutOpen }) =>
    source !== undefined && (rolloutOpen || generation === latest) ? [source] : [],
  );
}
