import type { SecretRef } from "./environment-set";

export interface RollbackInput {
  /** The pins of the generation to go back to. */
  old: readonly SecretRef[];
  /** The tenant secrets that the workspace takes now, by name. */
  current: ReadonlyMap<string, SecretRef>;
  /** Whether the workspace takes this name. */
  isTaken: (name: string) => boolean;
  /** Whether a version was deleted since, or made unreadable. */
  isDead: (versionId: string) => boolean;
}

/**
 * The tenant secrets of a rollback: the old pins, but what was deleted, destroyed or taken from the
 * workspace since keeps its current state and is listed.
 */
export function rollBack(input: RollbackInput): { refs: SecretRef[]; kept: string[] } {
  const refs: SecretRef[] = [];
  const kept: string[] = [];
  for (const pin of input.old.filter(({ kind }) => kind === "tenant")) {
    const mayComeBack = !input.isDead(pin.versionId) && input.isTaken(pin.name);
    if (!mayComeBack) kept.push(pin.name);
    const ref = mayComeBack ? pin : input.current.get(pin.name);
    if (ref) refs.push(ref);
  }
  return { refs, kept: kept.sort() };
}
