import { VmSyncServiceService } from "../../gen/murmur/rotation/v1/vm_sync";
import { systemClock } from "../../lib/clock";
import { type Channel, createClient, openChannel } from "../../lib/grpc/client";
import { createProducer } from "../../lib/kafka/producer";
import { ensureTopic } from "../../lib/kafka/topic";
import { silentLog } from "../../lib/log";
import { openWakeUps } from "../../services/vm-agent/wake-ups/open-wake-ups";
import { type WakeUpsRig, wakeUpsContract } from "../contract/wake-ups";
import { freshTopic, testKafka } from "../harness/kafka";

const VM = { tenantId: "acme", vmId: "vm-1" };

function makeRig(kind: "stream" | "kafka", kafka: { brokers: string[]; topic: string }) {
  const channels: Channel[] = [];
  const open: WakeUpsRig["open"] = ({ port, listener }) => {
    const channel = openChannel({ address: `127.0.0.1:${port}`, keepaliveMs: 1_000 });
    channels.push(channel);
    const client = createClient(VmSyncServiceService, channel);
    return openWakeUps({
      kind,
      kafka,
      ...VM,
      client,
      listener,
      everyMs: 60_000,
      clock: systemClock,
      log: silentLog,
    });
  };
  const close = () => {
    for (const channel of channels) channel.close();
  };
  return { open, close };
}

wakeUpsContract("stream", () => {
  const { open, close } = makeRig("stream", { brokers: [], topic: "" });
  return Promise.resolve({
    open,
    announce: (service) => service.push(),
    close: () => {
      close();
      return Promise.resolve();
    },
  });
});

wakeUpsContract("kafka", async () => {
  const kafka = { brokers: await testKafka(), topic: freshTopic() };
  await ensureTopic(
    { brokers: kafka.brokers, clientId: "test" },
    { topic: kafka.topic, partitions: 3 },
  );
  const producer = createProducer({ brokers: kafka.brokers, clientId: "test" });
  const { open, close } = makeRig("kafka", kafka);
  return {
    open,
    announce: () =>
      producer.send([
        { topic: kafka.topic, key: `${VM.tenantId}/${VM.vmId}`, value: Buffer.from("x") },
      ]),
    close: async () => {
      close();
      await producer.close();
    },
  };
});
