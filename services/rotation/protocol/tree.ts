import { isEnding, type Phase } from "./phase";

/** An agent's place: the root of a tree has no parent. */
export interface TreeNode {
  id: string;
  parentId: string | undefined;
}

/** An agent's place and whether it lives. */
export interface TreeAgent extends TreeNode {
  phase: Phase;
  killRequested: boolean;
}

/** All below `rootId`, at any depth, on whichever VM, parents before children. */
export function descendantsOf<N extends TreeNode>(rootId: string, nodes: readonly N[]): N[] {
  const found: N[] = [];
  for (let level = new Set([rootId]); level.size > 0;) {
    const children = nodes.filter((n) => n.parentId !== undefined && level.has(n.parentId));
    found.push(...children);
    level = new Set(children.map((child) => child.id));
  }
  return found;
}

/** The ids from the agent's parent up to the root of its tree. */
export function ancestorsOf(id: string, byId: Readonly<Record<string, TreeNode>>): string[] {
  const ancestors: string[] = [];
  let parentId = byId[id]?.parentId;
  while (parentId !== undefined) {
    ancestors.push(parentId);
    parentId = byId[parentId]?.parentId;
  }
  return ancestors;
}

/**
 * Whom a rekey of `root` is for: it and its descendants that live; those that are over are
 * reported as skipped. No target means: refuse with FAILED_PRECONDITION.
 */
export function rekeyScope<A extends TreeAgent>(
  root: A,
  descendants: readonly A[],
): { targets: A[]; skipped: A[] } {
  const all = [root, ...descendants];
  return { targets: all.filter((a) => !isEnding(a)), skipped: all.filter((a) => isEnding(a)) };
}

/**
 * Whether a child may be inserted under this parent. To be asked with the parent's row locked
 * `for share`; a kill locks the tree `for update`, so that no child slips in below it.
 */
export function mayHaveChild(parent: TreeAgent | undefined): boolean {
  return parent !== undefined && !isEnding(parent);
}
