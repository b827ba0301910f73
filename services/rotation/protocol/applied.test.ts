import fc from "fast-check";
import { acceptsGeneration, isAckCurrent, raiseApplied } from "./applied";

test("an ack counts only from the life of the VM that said hello last", () => {
  const vm = { bootId: "b2", incarnation: 5n };
  expect(isAckCurrent(vm, { bootId: "b2", incarnation: 5n })).toBe(true);
  expect(isAckCurrent(vm, { bootId: "b2", incarnation: 4n })).toBe(false);
  expect(isAckCurrent(vm, { bootId: "b2", incarnation: 6n })).toBe(false);
  expect(isAckCurrent(vm, { bootId: "b1", incarnation: 5n })).toBe(false);
  expect(isAckCurrent(undefined, { bootId: "b2", incarnation: 5n })).toBe(false);
});

test("acks in any order leave the highest generation believed", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(20), { minLength: 1 }), (acks) => {
      let believed: number | undefined;
      for (const ack of acks) believed = raiseApplied(believed, ack);
      expect(believed).toBe(Math.max(...acks));
    }),
  );
});

test("a VM that follows the rule never goes back, however sets arrive", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(20)), (offers) => {
      let applied: number | undefined;
      for (const offer of offers) {
        if (!acceptsGeneration(applied, offer)) continue;
        expect(offer).toBeGreaterThanOrEqual(applied ?? 0);
        applied = offer;
      }
      expect(applied ?? -1).toBe(Math.max(-1, ...offers));
    }),
  );
});

test("the same generation is accepted again, to repair a damaged file", () => {
  expect(acceptsGeneration(4, 4)).toBe(true);
});
