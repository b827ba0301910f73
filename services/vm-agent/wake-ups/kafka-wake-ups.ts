import type {
  SyncVmRequest,
  SyncVmResponse,
  VmUpdate,
} from "../../../gen/murmur/rotation/v1/vm_sync";
import type { Clock } from "../../../lib/clock";
import type { Log } from "../../../lib/log";
import { backoffMs } from "../../../lib/retry";
import type { HelloParts, Listener, WakeUps } from "./wake-ups";

/** A reader of the topic that calls back for every event of this machine, and once it is in place. */
export interface EventReader {
  run(signal: AbortSignal): Promise<void>;
}

export interface KafkaWakeUpsDeps {
  /** Makes the reader; `wake` is to be called for every event of this machine and when in place. */
  openReader(wake: () => void): EventReader;
  sync(request: SyncVmRequest, signal: AbortSignal): Promise<SyncVmResponse>;
  listener: Listener;
  clock: Clock;
  log: Log;
  /** How long to do without an event before asking all the same. */
  everyMs: number;
}

const RETRY = { initialMs: 50, maxMs: 2_000 };

/**
 * Wakes on `CredentialsRotated` and asks the rotation service for its state by `SyncVm`. Events are
 * believed in nothing: any number of them, in any order, is one question. Evidence goes the same
 * way; calls are coalesced, one at a time. Reports of all agents go with the first call, with the
 * timer's and with the one after a failure: what changes in between is evidence.
 */
export function createKafkaWakeUps(deps: KafkaWakeUpsDeps): WakeUps {
  let pending: VmUpdate = { acks: [], agents: [] };
  let isWanted = true;
  let parts: HelloParts = "whole";
  let wake = new AbortController();
  const want = () => {
    isWanted = true;
    wake.abort();
  };
  return {
    async run(signal) {
      const stop = () => {
        wake.abort();
      };
      signal.addEventListener("abort", stop, { once: true });
      const reading = deps.openReader(want).run(signal);
      let attempt = 0;
      while (!signal.aborted) {
        wake = new AbortController();
        if (isWanted) {
          isWanted = false;
          const taken = { ...pending, parts };
          parts = "standing";
          pending = { acks: [], agents: [] };
          const pauseMs = await syncOnce(deps, taken, signal);
          attempt = pauseMs === undefined ? 0 : attempt + 1;
          if (attempt > 0) {
            isWanted = true;
            parts = "whole";
          }
          // No event shortens a wait that the failure asks for.
          if (pauseMs) await deps.clock.sleep(pauseMs, signal);
        }
        const waitMs =
          attempt > 0 ? backoffMs(attempt, RETRY) : deps.everyMs * (0.75 + Math.random() / 2);
        if (!isWanted || attempt > 0) await deps.clock.sleep(waitMs, wake.signal);
        if (!wake.signal.aborted) {
          isWanted = true;
          parts = "whole";
        }
      }
      signal.removeEventListener("abort", stop);
      await reading;
    },
    send: (update) => {
      pending = {
        acks: [...pending.acks, ...update.acks],
        agents: [...pending.agents, ...update.agents],
      };
      want();
    },
    refresh() {
      parts = "whole";
      want();
    },
  };
}

/** Undefined when it went well, else how long to wait. What is lost is in the next hello. */
async function syncOnce(
  deps: KafkaWakeUpsDeps,
  { parts, ...update }: VmUpdate & { parts: HelloParts },
  signal: AbortSignal,
): Promise<number | undefined> {
  const { listener } = deps;
  const failures = listener.failures();
  const whole = {
    acks: [...failures.acks, ...update.acks],
    agents: [...failures.agents, ...update.agents],
  };
  try {
    const hello = listener.hello(parts);
    const { desired, coming } = await deps.sync({ hello, update: whole }, signal);
    // First: a set is of use to what is about to be desired only.
    if (coming) listener.onComing(coming.agents);
    if (desired) listener.onDesired(desired);
    return undefined;
  } catch (error) {
    if (signal.aborted) return 0;
    deps.log.warn("cannot sync with the rotation service", { error });
    return listener.onFailure(error);
  }
}
