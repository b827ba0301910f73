import type {
  WatchVmRequest,
  WatchVmResponse,
  VmUpdate,
} from "../../../gen/murmur/rotation/v1/vm_sync";
import type { Clock } from "../../../lib/clock";
import { unavailable } from "../../../lib/errors";
import type { ClientConversation } from "../../../lib/grpc/client";
import type { Log } from "../../../lib/log";
import { backoffMs } from "../../../lib/retry";
import type { Listener, WakeUps } from "./wake-ups";

type Conversation = ClientConversation<WatchVmRequest, WatchVmResponse>;

export interface StreamWakeUpsDeps {
  open(signal: AbortSignal): Promise<Conversation>;
  listener: Listener;
  clock: Clock;
  log: Log;
}

/** A replica that says nothing for this long is frozen: heartbeats come once a second. */
const SILENCE_MS = 3_000;
const MAX_WATERMARK_AGE_MS = 5_000;
/** A conversation of this length was a good one: the next break starts with a short wait. */
const LONG_MS = 10_000;
const RECONNECT = { initialMs: 50, maxMs: 2_000 };

/** Wakes on `WatchVm`: a standing conversation with one replica of the rotation service. */
export function createStreamWakeUps(deps: StreamWakeUpsDeps): WakeUps {
  let conversation: Conversation | undefined;
  const greet = () => {
    conversation?.send({ message: { $case: "hello", value: deps.listener.hello() } });
    const failures = deps.listener.failures();
    if (failures.acks.length + failures.agents.length > 0) sendUpdate(conversation, failures);
  };
  return {
    async run(signal) {
      for (let attempt = 0; !signal.aborted; attempt++) {
        const startedMs = deps.clock.monotonicMs();
        let pauseMs = 0;
        try {
          await converse(deps, signal, (opened) => {
            conversation = opened;
            greet();
          });
        } catch (error) {
          if (isAborted(signal)) break;
          deps.log.warn("stream to the rotation service broke", { error });
          pauseMs = deps.listener.onFailure(error);
        } finally {
          conversation = undefined;
        }
        if (deps.clock.monotonicMs() - startedMs > LONG_MS) attempt = 0;
        await deps.clock.sleep(Math.max(pauseMs, backoffMs(attempt, RECONNECT)), signal);
      }
    },
    send: (update) => {
      sendUpdate(conversation, update);
    },
    refresh: greet,
  };
}

/** One conversation, from hello until it breaks or goes silent. */
async function converse(
  deps: StreamWakeUpsDeps,
  signal: AbortSignal,
  onOpen: (conversation: Conversation) => void,
): Promise<void> {
  const { listener, clock } = deps;
  const silence = new AbortController();
  const either = AbortSignal.any([signal, silence.signal]);
  const conversation = await deps.open(either);
  let heardMs = clock.monotonicMs();
  const watchdog = watchSilence(() => clock.monotonicMs() - heardMs, silence, clock);
  try {
    onOpen(conversation);
    for await (const { message } of conversation.responses) {
      heardMs = clock.monotonicMs();
      if (message?.$case === "desired") listener.onDesired(message.value);
      if (message?.$case === "coming") listener.onComing(message.value.agents);
      if (message?.$case === "heartbeat" && message.value.watermarkAgeMs > MAX_WATERMARK_AGE_MS) {
        throw unavailable("the replica's view is too old");
      }
    }
  } finally {
    silence.abort();
    conversation.cancel();
    await watchdog;
  }
}

async function watchSilence(
  quietMs: () => number,
  silence: AbortController,
  clock: Clock,
): Promise<void> {
  while (!silence.signal.aborted) {
    await clock.sleep(1_000, silence.signal);
    if (quietMs() > SILENCE_MS) silence.abort();
  }
}

/** Asked again after a wait: the compiler would think that it cannot have changed. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}

function sendUpdate(conversation: Conversation | undefined, update: VmUpdate): void {
  conversation?.send({ message: { $case: "update", value: update } });
}
