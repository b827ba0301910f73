import type { SecretRef } from "./environment-set";

/** What is different from one set to another: names, each list sorted. */
export interface SetChange {
  addedNames: string[];
  /** To another version. */
  changedNames: string[];
  removedNames: string[];
}

export function setChange(from: readonly SecretRef[], to: readonly SecretRef[]): SetChange {
  const before = new Map(from.map(({ name, versionId }) => [name, versionId]));
  const after = new Map(to.map(({ name, versionId }) => [name, versionId]));
  const added = [...after.keys()].filter((name) => !before.has(name));
  const removed = [...before.keys()].filter((name) => !after.has(name));
  const changed = [...after].flatMap(([name, versionId]) =>
    before.has(name) && before.get(name) !== versionId ? [name] : [],
  );
  return {
    addedNames: added.sort(),
    changedNames: changed.sort(),
    removedNames: removed.sort(),
  };
}
