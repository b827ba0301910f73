import { FakeClock } from "../test/fakes/fake-clock";
import { run, type Scope } from "./lifecycle";
import { silentLog } from "./log";

function start(work: (scope: Scope) => Promise<void>, clock = new FakeClock()) {
  let stop: (signal: string) => void = () => undefined;
  const signals = {
    onStop: (listener: (signal: string) => void) => {
      stop = listener;
      return () => undefined;
    },
  };
  const code = run("test", { log: silentLog, graceMs: 1_000, clock, signals }, work);
  return {
    code,
    clock,
    stop: () => {
      stop("SIGTERM");
    },
  };
}

describe("run", () => {
  it("closes in reverse order what was opened and exits 0 after a signal", async () => {
    const closed: string[] = [];
    const { code, stop, clock } = start((scope) => {
      scope.defer("pool", () => void closed.push("pool"));
      scope.defer("server", () => void closed.push("server"));
      scope.ready();
      return Promise.resolve();
    });
    stop();
    expect(await code).toBe(0);
    expect(closed).toEqual(["server", "pool"]);
    expect(clock.sleeping).toBe(0); // Nothing that would keep the process.
  });

  it("stops everything when a task fails, and exits non-zero", async () => {
    let aborted = false;
    const { code } = start((scope) => {
      scope.task(
        "healthy",
        (signal) =>
          new Promise((resolve) => {
            signal.addEventListener("abort", () => {
              aborted = true;
              resolve();
            });
          }),
      );
      scope.task("broken", () => Promise.reject(new Error("broken")));
      return Promise.resolve();
    });
    expect(await code).toBe(1);
    expect(aborted).toBe(true);
  });

  it("closes what was opened when the start fails half-way", async () => {
    let closed = false;
    const { code } = start((scope) => {
      scope.defer("pool", () => {
        closed = true;
      });
      return Promise.reject(new Error("no port"));
    });
    expect(await code).toBe(1);
    expect(closed).toBe(true);
  });

  it("goes on closing when one clean-up fails, and says so by its code", async () => {
    let closed = false;
    const { code, stop } = start((scope) => {
      scope.defer("first", () => {
        closed = true;
      });
      scope.defer("second", () => Promise.reject(new Error("stuck")));
      return Promise.resolve();
    });
    stop();
    expect(await code).toBe(1);
    expect(closed).toBe(true);
  });

  it("does not wait for ever for a clean-up that hangs, nor for a start that hangs", async () => {
    const hanging = start((scope) => {
      scope.defer("hangs", () => new Promise(() => undefined));
      return new Promise(() => undefined);
    });
    hanging.stop();
    await hanging.clock.advance(1_000);
    expect(await hanging.code).toBe(1);
  });
});
