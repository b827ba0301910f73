import { service as healthService } from "grpc-health-check";
import { CredentialsRotated } from "../../../gen/murmur/events/v1/credentials_rotated";
import { createClient, openChannel } from "../../../lib/grpc/client";
import type { ServiceDefinition } from "../../../lib/grpc/definition";
import { createTopicReader, type TopicMessage } from "../../../lib/kafka/consumer";
import { eventually } from "../../../test/harness/eventually";
import { startFleet, type Fleet } from "../../../test/harness/fleet";
import { freshTopic, testKafka } from "../../../test/harness/kafka";

/** Whether a name of the standard health service says SERVING. */
async function isServing(address: string, service: string): Promise<boolean> {
  const channel = openChannel({ address });
  try {
    const health = createClient(healthService as unknown as ServiceDefinition, channel);
    const check = health["Check"] as (request: object) => Promise<{ status: string }>;
    return (await check({ service })).status === "SERVING";
  } finally {
    channel.close();
  }
}

describe("with a living Kafka", () => {
  let fleet: Fleet;
  let topic: string;
  const messages: TopicMessage[] = [];
  let stopReading: () => Promise<void>;

  beforeAll(async () => {
    const brokers = await testKafka();
    topic = freshTopic();
    fleet = await startFleet({ kafka: { brokers, topic } });
    let isReady = false;
    const reader = createTopicReader({
      ...{ brokers, clientId: "test-reader", topic },
      onMessage: (message) => messages.push(message),
      onReady: () => {
        isReady = true;
      },
    });
    stopReading = () => reader.stop();
    await eventually(() => expect(isReady).toBe(true), { timeoutMs: 30_000 });
  }, 180_000);

  afterAll(async () => {
    await stopReading();
    await fleet.stop();
  });

  it("each change of a VM's desired state is an event with ids and numbers only", async () => {
    const machine = fleet.machine("vm-1");
    const agent = await fleet.spawn("fix-auth", { vm: "vm-1" });
    const { rollout } = await fleet.rekey("fix-auth");
    // One may come twice.
    const eventOf = (rotationId: string) =>
      eventually(
        () => {
          const found = messages
            .map((message) => ({ message, event: CredentialsRotated.decode(message.value) }))
            .find(({ event }) => event.rotationId === rotationId);
          if (!found) throw new Error(`no event of ${rotationId}`);
          return found;
        },
        { timeoutMs: 20_000 },
      );
    await eventOf(agent.agentId);
    const { message, event: rekeyed } = await eventOf(rollout?.rolloutId ?? "");
    expect(rekeyed).toMatchObject({
      tenantId: "t1",
      vmId: machine.id,
      targets: [{ agentId: agent.agentId, generation: 2n }],
      time: expect.any(Date) as Date,
    });
    expect(message).toMatchObject({
      key: `t1/${machine.id}`,
      headers: {
        ce_specversion: "1.0",
        ce_id: rekeyed.eventId,
        ce_source: "murmur/rotation",
        ce_type: "murmur.credentials-rotated.v1",
        ce_time: rekeyed.time?.toISOString(),
        "content-type": "application/protobuf",
      },
    });
    for (const { value } of messages) expect(value.includes("fix-auth")).toBe(false);
    // The brokers say that they have it after a reader may have seen it.
    await eventually(async () => {
      expect(await isServing(fleet.rotation.address, "kafka")).toBe(true);
    });
  });
});

describe("without Kafka", () => {
  it("no call fails, events wait in the outbox, and health says so", async () => {
    const nowhere = { brokers: ["127.0.0.1:1"], topic: "x" };
    const fleet = await startFleet({ kafka: nowhere });
    try {
      const machine = fleet.machine("vm-1");
      await fleet.connect(machine, { isObedient: true });
      await fleet.spawn("fix-auth");
      const { rollout } = await fleet.rekey("fix-auth");
      await fleet.settled(rollout?.rolloutId ?? "");
      const { rows } = await fleet.rotation.database.pool.query<{ n: bigint }>(
        "select count(*) as n from rotation.outbox",
      );
      expect(rows[0]?.n).toBe(2n);
      await eventually(
        async () => {
          expect(await isServing(fleet.rotation.address, "kafka")).toBe(false);
        },
        { timeoutMs: 15_000 },
      );
      expect(await isServing(fleet.rotation.address, "")).toBe(true);
    } finally {
      await fleet.stop();
    }
  });
});
