import type { WatchVmRequest, WatchVmResponse } from "../../../gen/murmur/rotation/v1/vm_sync";
import type { ClientConversation } from "../../../lib/grpc/client";
import { silentLog } from "../../../lib/log";
import { FakeClock } from "../../../test/fakes/fake-clock";
import { createStreamWakeUps } from "./stream-wake-ups";

type Conversation = ClientConversation<WatchVmRequest, WatchVmResponse>;

/** A replica that says what it is told to, until it is cancelled. */
class Replica implements Conversation {
  readonly sent: WatchVmRequest[] = [];
  isCancelled = false;
  #queue: WatchVmResponse[] = [];
  #wake: () => void = () => undefined;
  readonly responses = this.#respond();

  say(response: WatchVmResponse): void {
    this.#queue.push(response);
    this.#wake();
  }
  beat(watermarkAgeMs = 0n): void {
    this.say({ message: { $case: "heartbeat", value: { watermarkAgeMs } } });
  }
  send(request: WatchVmRequest): void {
    this.sent.push(request);
  }
  end(): void {
    this.cancel();
  }
  cancel(): void {
    this.isCancelled = true;
    this.#wake();
  }
  async *#respond(): AsyncGenerator<WatchVmResponse> {
    for (;;) {
      const next = this.#queue.shift();
      if (next) yield next;
      else if (this.isCancelled) return;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}

describe("a stream to a replica", () => {
  const clock = new FakeClock();
  let replicas: Replica[];
  let stopping: AbortController;
  let running: Promise<void>;

  beforeEach(async () => {
    replicas = [];
    stopping = new AbortController();
    const wakeUps = createStreamWakeUps({
      open: (signal) => {
        const replica = new Replica();
        replicas.push(replica);
        signal.addEventListener("abort", () => {
          replica.cancel();
        });
        return Promise.resolve(replica);
      },
      listener: {
        hello: () => ({
          bootId: "b",
          incarnation: "i",
          incarnationNumber: 1n,
          applied: [],
          agents: [],
        }),
        failures: () => ({ acks: [], agents: [] }),
        onDesired: () => undefined,
        onFailure: () => 0,
        onComing: () => undefined,
      },
      clock,
      log: silentLog,
    });
    running = wakeUps.run(stopping.signal);
    await clock.advance(0);
  });
  afterEach(async () => {
    stopping.abort();
    await running;
  });

  it("is left when it is silent, for one that says hello anew", async () => {
    expect(replicas).toHaveLength(1);
    for (let second = 0; second < 10; second++) {
      replicas[0]?.beat();
      await clock.advance(1_000);
    }
    expect(replicas).toHaveLength(1);
    await clock.advance(8_000); // No beat: frozen.
    expect(replicas[0]?.isCancelled).toBe(true);
    expect(replicas.length).toBeGreaterThan(1);
    expect(replicas[1]?.sent[0]?.message?.$case).toBe("hello");
  });

  it("is left when the replica's view is too old, though it beats", async () => {
    replicas[0]?.beat(5_001n);
    await clock.advance(3_000);
    expect(replicas[0]?.isCancelled).toBe(true);
    expect(replicas.length).toBeGreaterThan(1);
  });
});
