import type { VmSyncServiceService } from "../../../gen/murmur/rotation/v1/vm_sync";
import type { Clock } from "../../../lib/clock";
import type { ClientOf } from "../../../lib/grpc/client";
import type { Log } from "../../../lib/log";
import { createKafkaWakeUps, type EventReader } from "./kafka-wake-ups";
import { createStreamWakeUps } from "./stream-wake-ups";
import type { Listener, WakeUps } from "./wake-ups";

export interface OpenWakeUpsOptions {
  kind: "stream" | "kafka";
  kafka: { brokers: readonly string[]; topic: string };
  tenantId: string;
  vmId: string;
  client: ClientOf<typeof VmSyncServiceService>;
  listener: Listener;
  everyMs: number;
  clock: Clock;
  log: Log;
}

/** Opens the configured source of wake-ups. Kafka's client is loaded only where it is used. */
export async function openWakeUps(options: OpenWakeUpsOptions): Promise<WakeUps> {
  const { client, listener, clock, log, everyMs } = options;
  if (options.kind === "stream") {
    return createStreamWakeUps({
      open: (signal) => client.watchVm({ signal }),
      listener,
      clock,
      log,
    });
  }
  const openReader = await loadReader(options);
  const sync = (request: Parameters<typeof client.syncVm>[0], signal: AbortSignal) =>
    client.syncVm(request, { signal });
  return createKafkaWakeUps({ openReader, sync, listener, clock, log, everyMs });
}

async function loadReader(options: OpenWakeUpsOptions): Promise<(wake: () => void) => EventReader> {
  const { createTopicReader } = await import("../../../lib/kafka/consumer");
  const { kafka, tenantId, vmId, clock, log } = options;
  const key = `${tenantId}/${vmId}`;
  return (wake) => ({
    async run(signal) {
      const reader = createTopicReader({
        brokers: [...kafka.brokers],
        clientId: "murmur-vm-agent",
        topic: kafka.topic,
        onMessage: (message) => {
          if (message.key === key) wake();
        },
        onReady: wake,
        clock,
        log,
      });
      await new Promise<void>((resolve) => {
        if (signal.aborted) resolve();
        else
          signal.addEventListener(
            "abort",
            () => {
              resolve();
            },
            { once: true },
          );
      });
      await reader.stop();
    },
  });
}
