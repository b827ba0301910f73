import { FakeClock } from "../../../test/fakes/fake-clock";
import { createForetold } from "./foretold";

const coming = (agentId: string, generation: bigint, bytes = 10) => ({
  ...{ agentId, generation },
  sealedAhead: Buffer.alloc(bytes, `${generation}`),
});

describe("what was foretold to a VM that asks", () => {
  let clock: FakeClock;
  beforeEach(() => {
    clock = new FakeClock();
  });

  it("is given once, for exactly the generation that is desired", () => {
    const foretold = createForetold(clock);
    foretold.keep("t/vm", [coming("a", 2n), coming("b", 5n)]);
    expect(foretold.take("t/vm", [{ id: "a", desired: 1n }])).toEqual([]);
    expect(foretold.take("t/other", [{ id: "a", desired: 2n }])).toEqual([]);
    const desired = [
      { id: "a", desired: 2n },
      { id: "c", desired: 1n },
    ];
    expect(foretold.take("t/vm", desired)).toEqual([coming("a", 2n)]);
    expect(foretold.take("t/vm", desired)).toEqual([]);
    expect(foretold.take("t/vm", [{ id: "b", desired: 5n }])).toEqual([coming("b", 5n)]);
  });

  it("is kept of the newest generation, and not where nothing was sealed", () => {
    const foretold = createForetold(clock);
    foretold.keep("t/vm", [coming("a", 3n), coming("b", 1n, 0)]);
    foretold.keep("t/vm", [coming("a", 2n)]);
    expect(foretold.take("t/vm", [{ id: "a", desired: 2n }])).toEqual([]);
    expect(foretold.take("t/vm", [{ id: "b", desired: 1n }])).toEqual([]);
    expect(foretold.take("t/vm", [{ id: "a", desired: 3n }])).toEqual([coming("a", 3n)]);
  });

  it("is dropped after five seconds", async () => {
    const foretold = createForetold(clock);
    foretold.keep("t/vm", [coming("a", 2n)]);
    await clock.advance(5_000);
    expect(foretold.take("t/vm", [{ id: "a", desired: 2n }])).toEqual([]);
  });

  it("never holds more than 16 MiB: the oldest go", () => {
    const foretold = createForetold(clock);
    const half = 8 * 1024 * 1024;
    for (const [at, agentId] of ["a", "b", "c"].entries())
      foretold.keep("t/vm", [coming(agentId, BigInt(at + 1), half)]);
    expect(foretold.take("t/vm", [{ id: "a", desired: 1n }])).toEqual([]);
    expect(foretold.take("t/vm", [{ id: "b", desired: 2n }])).toHaveLength(1);
    expect(foretold.take("t/vm", [{ id: "c", desired: 3n }])).toHaveLength(1);
  });
});
