import { randomUUID } from "node:crypto";
import type { Part } from "../../dev/parts/part";
import { freePort } from "../../dev/parts/free-port";
import { startRotation } from "../../dev/stack/services";
import { RolloutServiceService } from "../../gen/murmur/rotation/v1/rollouts";
import { createClient, openChannel } from "../../lib/grpc/client";
import { bearerCredentials } from "../../lib/identity/credentials";
import { sensitive } from "../../lib/sensitive";
import { eventually } from "../harness/eventually";
import { healthOf } from "../harness/health";
import { startTestStack, type TestStack, WORKSPACE } from "../harness/stack";
import { spyOnTopic, type TopicSpy } from "../harness/topic-spy";

const TOPIC = "murmur.credentials-rotated.v1";
/** The publisher's lease; and what a replica takes to notice, and a broker to be sent to. */
const LEASE_MS = 5_000;
const TAKE_OVER_MS = LEASE_MS + 15_000;
const WAIT = { timeoutMs: 60_000 };

let stack: TestStack;
let spy: TopicSpy;

beforeAll(async () => {
  // Rotation publishes on Kafka, the VM is woken over its stream.
  stack = await startTestStack({ withKafka: true, settings: { MURMUR_WAKE_UPS: "stream" } });
  spy = await spyOnTopic(stack.place.kafkaBrokers!, TOPIC);
  await stack.murmur.run(["spawn", "fix-auth", "--", "sleep", "1000000"]);
  await stack.applied("fix-auth", 1n);
}, 360_000);

afterEach(() => {
  stack.thaw();
});

afterAll(async () => {
  await spy.stop();
  await stack.stop();
}, 360_000);

async function rekey(): Promise<{ rolloutId: string; generation: bigint }> {
  const request = { workspace: WORKSPACE, path: "fix-auth", requestId: randomUUID(), reason: "" };
  const { rollout, targets } = await stack.clients.rollouts.rekeyAgent(request);
  return { rolloutId: rollout!.rolloutId, generation: targets[0]!.generation };
}

/** Rows that the publisher has not sent. */
async function waiting(): Promise<number> {
  const [row] = await stack.query<{ count: string }>(
    `select count(*) from rotation.outbox, rotation.outbox_publisher
      where name = 'kafka' and (outbox.xid, outbox.id) > (cursor_xid, cursor_id)`,
  );
  return Number(row!.count);
}

/** The cursor is moved a moment after the event was sent. */
const allSent = () => eventually(async () => expect(await waiting()).toBe(0), WAIT);

const health = (service: string) => healthOf(stack.place.rotation, service);

/** Takes the broker away; the returned function waits until it is back. */
const absences: [string, () => () => Promise<void>][] = [
  ["killed", () => stack.takeAway("kafka")],
  [
    "frozen",
    () => {
      const thaw = stack.freeze("kafka");
      return () => {
        thaw();
        return Promise.resolve();
      };
    },
  ],
];

test.each(absences)(
  "with Kafka %s rekeys go on over streams, and the events wait until it is back",
  async (_, takeAway) => {
    await allSent();
    const bringBack = takeAway();
    const rollouts: string[] = [];
    for (let n = 0; n < 3; n++) {
      const { rolloutId, generation } = await rekey();
      rollouts.push(rolloutId);
      await stack.applied("fix-auth", generation);
    }
    expect(await waiting()).toBe(3);
    await eventually(async () => expect(await health("kafka")).toBe("NOT_SERVING"), WAIT);
    expect(await health("")).toBe("SERVING");
    expect(await waiting()).toBe(3);
    await bringBack();
    await eventually(
      () => expect(rollouts.map((id) => spy.countOf(id) > 0)).toEqual([true, true, true]),
      WAIT,
    );
    await eventually(async () => expect(await health("kafka")).toBe("SERVING"), WAIT);
    await allSent();
  },
  240_000,
);

describe("with a second replica of rotation", () => {
  let second: Part;
  let address: string;

  beforeAll(async () => {
    address = `127.0.0.1:${await freePort()}`;
    second = await startRotation({ ...stack.place, rotation: address }, stack.identities);
  }, 360_000);
  afterAll(async () => {
    process.kill(second.pid, "SIGCONT");
    await second.stop();
  });

  /** Rekeys over one replica and waits for the event; resolves with how long it took. */
  async function announcedBy(replica: string): Promise<number> {
    const channel = openChannel({
      address: replica,
      credentials: bearerCredentials(sensitive(await stack.identities.issueToken())),
    });
    try {
      const { rekeyAgent } = createClient(RolloutServiceService, channel);
      const startMs = performance.now();
      const request = { workspace: WORKSPACE, path: "fix-auth", requestId: "", reason: "" };
      const { rollout } = await rekeyAgent(request);
      await eventually(() => expect(spy.countOf(rollout!.rolloutId)).toBeGreaterThan(0), {
        timeoutMs: TAKE_OVER_MS,
      });
      return performance.now() - startMs;
    } finally {
      channel.close();
    }
  }

  const holder = async () =>
    (await stack.query<{ holder: string }>("select holder from rotation.outbox_publisher"))[0]!
      .holder;

  test("a publisher that freezes is replaced within its lease", async () => {
    const holders: string[] = [];
    const first = stack.pidOf("rotation");
    // Whichever of the two holds the lease at first, the second one that freezes has it.
    for (const [frozen, other] of [
      [first, address],
      [second.pid, stack.place.rotation],
    ] as const) {
      process.kill(frozen, "SIGSTOP");
      try {
        await announcedBy(other);
      } finally {
        process.kill(frozen, "SIGCONT");
      }
      holders.push(await holder());
      // What it does when it wakes up moves nothing back.
      await announcedBy(other);
      expect(await holder()).toBe(holders.at(-1));
    }
    expect(holders[1]).not.toBe(holders[0]);
    await allSent();
  }, 360_000);
});
