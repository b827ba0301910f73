import fc from "fast-check";
import { isSettled, openingState, targetsSatisfiedBy } from "./target";

const target = fc.record({
  agentId: fc.constantFrom("a", "b"),
  generation: fc.bigInt({ min: 1n, max: 9n }),
});

test("an ack closes its agent's targets up to its generation, and no other", () => {
  fc.assert(
    fc.property(target, fc.array(target), (ack, open) => {
      const closed = new Set(targetsSatisfiedBy(ack, open));
      for (const each of open) {
        const reached = each.agentId === ack.agentId && each.generation <= ack.generation;
        expect(closed.has(each)).toBe(reached);
      }
    }),
  );
});

test("a target that a later rekey has already carried past is written as applied", () => {
  expect(openingState(5, { applied: 6, ending: false })).toBe("applied");
  expect(openingState(5, { applied: 5, ending: false })).toBe("applied");
  expect(openingState(5, { applied: 4, ending: false })).toBe("pending");
  expect(openingState(5, { applied: undefined, ending: false })).toBe("pending");
});

test("a target for an agent that ended since is skipped", () => {
  expect(openingState(5, { applied: 6, ending: true })).toBe("skipped");
});

test("a failed attempt leaves a target open: its VM goes on trying", () => {
  expect(isSettled("failed")).toBe(false);
  expect(isSettled("pending")).toBe(false);
  expect(isSettled("applied")).toBe(true);
  expect(isSettled("skipped")).toBe(true);
});
