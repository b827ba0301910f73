import { unavailable } from "../../../lib/errors";
import { silentLog } from "../../../lib/log";
import { FakeClock } from "../../../test/fakes/fake-clock";
import { type AutoRotationDeps, runAutoRotation } from "./auto-rotation";

/** Rotation as a VM sees it: agents by name, and in how many seconds they are due. */
function startRotator() {
  const clock = new FakeClock();
  const dueIn = new Map<string, number>();
  const rotated: string[] = [];
  const away = { list: false, rotate: new Set<string>() };
  const client: AutoRotationDeps["client"] = {
    listDueRotations: () => {
      if (away.list) return Promise.reject(unavailable("rotation is away"));
      const rotations = [...dueIn].map(([agentId, seconds]) => ({
        ...{ agentId, name: agentId, dueIn: { seconds: BigInt(seconds), nanos: 0 } },
      }));
      return Promise.resolve({ rotations });
    },
    rotateForAgent: ({ agentId }) => {
      if (away.rotate.has(agentId)) return Promise.reject(unavailable("the catalog is away"));
      rotated.push(agentId);
      dueIn.set(agentId, 3_600);
      return Promise.resolve({ credentialId: "", generation: 2n });
    },
  };
  const stopping = new AbortController();
  const running = runAutoRotation({ client, clock, log: silentLog }, stopping.signal);
  const stop = async () => {
    stopping.abort();
    await running;
  };
  return { clock, dueIn, rotated, away, stop };
}

describe("the daemon", () => {
  it("rotates for those that are due, once, and for no others", async () => {
    const { clock, dueIn, rotated, stop } = startRotator();
    dueIn.set("due", 0).set("later", 30);
    await clock.advance(10_000);
    await clock.advance(10_000);
    expect(rotated).toEqual(["due"]);
    dueIn.set("later", 0);
    await clock.advance(10_000);
    expect(rotated).toEqual(["due", "later"]);
    await stop();
  });

  it("goes on when rotation is away, and tries again what did not succeed", async () => {
    const { clock, dueIn, rotated, away, stop } = startRotator();
    away.list = true;
    dueIn.set("one", 0).set("two", 0);
    await clock.advance(60_000);
    expect(rotated).toEqual([]);
    away.list = false;
    away.rotate.add("one");
    await clock.advance(10_000);
    expect(rotated).toEqual(["two"]);
    away.rotate.clear();
    await clock.advance(10_000);
    expect(rotated).toEqual(["two", "one"]);
    await stop();
  });
});
