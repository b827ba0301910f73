import type { SecretRef } from "./environment-set";

export interface RollbackInput {
  /** The pins of the generation to go back to. */
  old: readonly SecretRef[];
  /** What the agent would get now of the tenant's and its developer's secrets, by name. */
  current: ReadonlyMap<string, SecretRef>;
  /** Whether the workspace, or the developer's profile, still takes what was pinned. */
  isTaken: (pin: SecretRef) => boolean;
  /** Whether a version was deleted since, or made unreadable. */
  isDead: (versionId: string) => boolean;
}

/**
 * The tenant's and the developer's secrets of a rollback: the old pins, but what was deleted,
 * destroyed or taken from the workspace or profile since keeps its current state and is listed.
 */
export function rollBack(input: RollbackInput): { refs: SecretRef[]; kept: string[] } {
  const refs: SecretRef[] = [];
  const kept: string[] = [];
  for (const pin of input.old.filter(({ kind }) => kind !== "spawn")) {
    const mayComeBack = !input.isDead(pin.versionId) && input.isTaken(pin);
    if (!mayComeBack) kept.push(pin.name);
    const ref = mayComeBack ? pin : input.current.get(pin.name);
    if (ref) refs.push(ref);
  }
  return { refs, kept: kept.sort() };
}
