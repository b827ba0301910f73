import type { AwaitCredentialChangesResponse } from "../gen/murmur/rotation/v1/credentials";
import { FakeClock } from "../test/fakes/fake-clock";
import { type ChangeLease, createChangeLease, MAX_VIEW_AGE_MS } from "./change-lease";

const NOTHING: AwaitCredentialChangesResponse = {
  ...{ position: "1", forgetAll: false, credentialIds: [], people: [] },
};

describe("what is known of changes", () => {
  const running: AbortController[] = [];
  afterEach(() => {
    for (const one of running.splice(0)) one.abort();
  });

  /** A lease that has heard that nothing is known yet, MAX_VIEW_AGE_MS ago, and waits for what rotation says next. */
  const start = async () => {
    const clock = new FakeClock();
    const asked: string[] = [];
    const calls: {
      resolve: (told: AwaitCredentialChangesResponse) => void;
      reject: (error: Error) => void;
    }[] = [];
    const lease = createChangeLease({
      clock,
      awaitChanges(after, signal) {
        asked.push(after);
        return new Promise((resolve, reject) => {
          calls.push({ resolve, reject });
          signal.addEventListener("abort", () => {
            reject(new Error("cancelled"));
          });
        });
      },
    });
    const run = new AbortController();
    running.push(run);
    const over = lease.run(run.signal);
    lease.touch();
    const tell = async (told: Partial<AwaitCredentialChangesResponse> = {}) => {
      await clock.advance(0);
      calls.shift()?.resolve({ ...NOTHING, ...told });
      await clock.advance(0);
    };
    const fail = async () => {
      calls.shift()?.reject(new Error("away"));
      await clock.advance(0);
    };
    await tell({ forgetAll: true });
    await clock.advance(MAX_VIEW_AGE_MS);
    const isAlive = () => lease.isAlive(clock.monotonicMs());
    const stop = () => {
      run.abort();
      return over;
    };
    return { clock, lease, asked, tell, fail, isAlive, stop };
  };
  const isUnchangedSince = (
    { lease, clock }: { lease: ChangeLease; clock: FakeClock },
    ageMs = 0,
  ) => lease.isUnchanged("c1", clock.monotonicMs() - ageMs);

  it("lasts a second from when the last call that was answered was made", async () => {
    const it = await start();
    await it.clock.advance(700);
    // It was called 900 ms ago, whenever its answer came.
    await it.tell();
    expect(it.isAlive()).toBe(true);
    await it.clock.advance(100);
    expect(it.isAlive()).toBe(true);
    await it.clock.advance(1);
    expect(it.isAlive()).toBe(false);
    await it.tell();
    await it.tell();
    expect(it.isAlive()).toBe(true);
  });

  it("is not for what was asked for before a change, whichever came first, its answer or the change", async () => {
    const it = await start();
    expect(isUnchangedSince(it)).toBe(true);
    await it.tell({ credentialIds: ["c1"] });
    expect(isUnchangedSince(it)).toBe(false);
    expect(it.lease.isUnchanged("c2", it.clock.monotonicMs())).toBe(true);
    // Another replica may have answered from a view that is older than the change.
    await it.clock.advance(MAX_VIEW_AGE_MS - 1);
    expect(isUnchangedSince(it)).toBe(false);
    await it.clock.advance(1);
    expect(isUnchangedSince(it)).toBe(true);
    expect(isUnchangedSince(it, 1)).toBe(false);
  });

  it("goes on where it was, also when a call failed", async () => {
    const it = await start();
    await it.tell({ position: "2" });
    await it.fail();
    await it.clock.advance(100);
    await it.tell({ position: "3" });
    expect(it.asked).toEqual(["", "1", "2", "2", "3"]);
    expect(isUnchangedSince(it)).toBe(true);
  });

  it("begins anew after it was over, and all of before is forgotten", async () => {
    const it = await start();
    await it.fail();
    await it.clock.advance(1_001);
    await it.fail();
    await it.clock.advance(100);
    await it.tell({ forgetAll: false });
    expect(it.asked.at(-2)).toBe("");
    expect(isUnchangedSince(it, 1_000)).toBe(false);
    expect(isUnchangedSince(it)).toBe(false);
    await it.clock.advance(MAX_VIEW_AGE_MS);
    expect(isUnchangedSince(it)).toBe(true);
  });

  it("is nothing about what is older when rotation cannot say what has changed", async () => {
    const it = await start();
    await it.tell({ forgetAll: true });
    expect(it.isAlive()).toBe(true);
    expect(isUnchangedSince(it)).toBe(false);
  });

  it("is bounded: of more changes than are kept, all is taken for changed", async () => {
    const it = await start();
    const credentialIds = Array.from({ length: 10_000 }, (_, n) => `other-${n}`);
    await it.tell({ credentialIds });
    expect(isUnchangedSince(it)).toBe(true);
    await it.tell({ credentialIds: ["one-more"] });
    expect(isUnchangedSince(it)).toBe(false);
  });

  it("keeps no change for longer than answers count", async () => {
    const it = await start();
    const credentialIds = Array.from({ length: 6_000 }, (_, n) => `first-${n}`);
    await it.tell({ credentialIds });
    for (let waitedMs = 0; waitedMs < 15_000; waitedMs += 500) {
      it.lease.touch();
      await it.clock.advance(500);
      await it.tell();
    }
    await it.tell({ credentialIds: credentialIds.map((id) => `second-${id}`) });
    expect(isUnchangedSince(it)).toBe(true);
  });

  it("is followed while somebody asks, and not for nobody", async () => {
    const it = await start();
    await it.clock.advance(14_000);
    await it.tell();
    const before = it.asked.length;
    await it.clock.advance(1_001);
    await it.tell();
    expect(it.asked).toHaveLength(before);
    await it.clock.advance(60_000);
    expect(it.asked).toHaveLength(before);
    it.lease.touch();
    await it.clock.advance(0);
    expect(it.asked).toHaveLength(before + 1);
    await it.tell();
    await it.stop();
  });

  it("is not followed any more after the end, also while nobody asks", async () => {
    const it = await start();
    await it.clock.advance(60_000);
    await it.tell();
    await it.stop();
    expect(it.isAlive()).toBe(false);
  });
});
