import type { SyncVmRequest, SyncVmResponse } from "../../../gen/murmur/rotation/v1/vm_sync";
import { eventually } from "../../../test/harness/eventually";
import { systemClock } from "../../../lib/clock";
import { unavailable } from "../../../lib/errors";
import { silentLog } from "../../../lib/log";
import { createKafkaWakeUps } from "./kafka-wake-ups";
import type { HelloParts, WakeUps } from "./wake-ups";

const answer: SyncVmResponse = {
  desired: { complete: true, agents: [], traceparent: "" },
  coming: { agents: [{ agentId: "a", generation: 2n, sealedAhead: Buffer.from("s") }] },
};

describe("a machine that is woken over Kafka", () => {
  let stopping: AbortController;
  let running: Promise<void>;
  let wakeUps: WakeUps;
  /** As an event does. */
  let wake: () => void;
  let said: HelloParts[];
  let heard: string[];
  let calls: SyncVmRequest[];
  let sync: (request: SyncVmRequest) => Promise<SyncVmResponse>;

  beforeEach(() => {
    stopping = new AbortController();
    [said, heard, calls] = [[], [], []];
    sync = () => Promise.resolve(answer);
    wakeUps = createKafkaWakeUps({
      openReader: (onEvent) => {
        wake = onEvent;
        return {
          run: (signal) =>
            new Promise((resolve) => {
              signal.addEventListener("abort", () => {
                resolve();
              });
            }),
        };
      },
      sync: (request) => {
        calls.push(request);
        return sync(request);
      },
      listener: {
        hello: (parts = "whole") => {
          said.push(parts);
          const life = { bootId: "b", incarnation: "i", incarnationNumber: 1n };
          return { ...life, applied: [], agents: [] };
        },
        failures: () => ({ acks: [], agents: [] }),
        onDesired: () => heard.push("desired"),
        onComing: (coming) => heard.push(`coming ${coming.length}`),
        onFailure: () => 0,
      },
      clock: systemClock,
      log: silentLog,
      everyMs: 3_600_000,
    });
    running = wakeUps.run(stopping.signal);
  });
  afterEach(async () => {
    stopping.abort();
    await running;
  });

  const answered = (count: number) =>
    eventually(() => {
      expect(heard.filter((what) => what === "desired")).toHaveLength(count);
    });

  it("hears of the sets that came with the answer before it is said what is desired", async () => {
    await answered(1);
    expect(heard).toEqual(["coming 1", "desired"]);
  });

  it("tells all of its agents at first and when asked to look, and not at every event", async () => {
    await answered(1);
    wake();
    await answered(2);
    wakeUps.refresh();
    await answered(3);
    wakeUps.send({ acks: [], agents: [] });
    await answered(4);
    expect(said).toEqual(["whole", "standing", "whole", "standing"]);
  });

  it("tells all of its agents after a call that failed, whose evidence may be lost", async () => {
    await answered(1);
    sync = () => {
      sync = () => Promise.resolve(answer);
      return Promise.reject(unavailable("gone"));
    };
    wake();
    await answered(2);
    expect(said).toEqual(["whole", "standing", "whole"]);
  });

  it("asks again when it is asked to look while a call is on its way, and tells all then", async () => {
    await answered(1);
    sync = () => {
      sync = () => Promise.resolve(answer);
      wakeUps.refresh();
      return Promise.resolve(answer);
    };
    wake();
    await answered(3);
    expect(said).toEqual(["whole", "standing", "whole"]);
    expect(calls).toHaveLength(3);
  });
});
