import fc from "fast-check";
import { ancestorsOf, descendantsOf, mayHaveChild, rekeyScope, type TreeAgent } from "./tree";

const agent = (id: string, parentId?: string, over: Partial<TreeAgent> = {}): TreeAgent => ({
  id,
  parentId,
  phase: "running",
  killRequested: false,
  ...over,
});

/** Trees of up to 12 agents: each one's parent is an earlier one, or nobody. */
const forest = fc
  .array(fc.option(fc.nat(), { nil: undefined }), { minLength: 1, maxLength: 12 })
  .map((parents) =>
    parents.map((parent, i) =>
      agent(`a${i}`, parent === undefined || i === 0 ? undefined : `a${parent % i}`),
    ),
  );

test("an agent is a descendant of exactly its ancestors, at any depth", () => {
  fc.assert(
    fc.property(forest, (nodes) => {
      const byId = Object.fromEntries(nodes.map((node) => [node.id, node]));
      for (const root of nodes) {
        const below = descendantsOf(root.id, nodes).map((node) => node.id);
        const expected = nodes.filter((node) => ancestorsOf(node.id, byId).includes(root.id));
        expect(below.toSorted()).toEqual(expected.map((node) => node.id).toSorted());
        expect(new Set(below).size).toBe(below.length);
      }
    }),
  );
});

test("a rekey is for the living of the tree, also below one that is over, and names the rest", () => {
  const root = agent("a", undefined, { phase: "completed" });
  const child = agent("b", "a");
  const dying = agent("c", "a", { killRequested: true });
  const scope = rekeyScope(root, [child, dying]);
  expect(scope.targets).toEqual([child]);
  expect(scope.skipped).toEqual([root, dying]);
});

test("a rekey of a tree without a living agent has no target", () => {
  expect(rekeyScope(agent("a", undefined, { phase: "failed" }), []).targets).toEqual([]);
});

test("no child is inserted under a parent that is absent, over, or being killed", () => {
  expect(mayHaveChild(agent("a"))).toBe(true);
  expect(mayHaveChild(undefined)).toBe(false);
  expect(mayHaveChild(agent("a", undefined, { phase: "completed" }))).toBe(false);
  expect(mayHaveChild(agent("a", undefined, { killRequested: true }))).toBe(false);
});
