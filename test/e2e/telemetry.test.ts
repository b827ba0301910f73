import { FakeCollector } from "../fakes/fake-collector";
import { eventually } from "../harness/eventually";
import { startTestStack, type TestStack } from "../harness/stack";

const CHAIN = [
  "/murmur.rotation.v1.RolloutService/RekeyAgent",
  "/murmur.catalog.v1.EnvironmentService/SnapshotEnvironments",
  "fetch and swap",
];

describe("telemetry", () => {
  const collector = new FakeCollector();
  let stack: TestStack;

  beforeAll(async () => {
    stack = await startTestStack({ settings: { MURMUR_OTLP_ENDPOINT: await collector.start() } });
  }, 360_000);
  afterAll(async () => {
    await stack.stop();
    await collector.stop();
  }, 360_000);

  it("shows one trace from the rekey through the catalog to the swap on the VM", async () => {
    const value = "marked-in-telemetry-5f0c";
    await stack.murmur.run(["secret", "set", "TRACED"], value);
    await stack.murmur.run(["spawn", "traced", "--", "sleep", "600"]);
    await stack.murmur.run(["rekey", "traced"]);
    await eventually(
      () => {
        const rekey = collector.spans.find(({ name }) => name === CHAIN[0]);
        const names = collector.spans
          .filter(({ traceId }) => traceId === rekey?.traceId)
          .map(({ name }) => name);
        expect(names).toEqual(expect.arrayContaining(CHAIN));
      },
      { timeoutMs: 60_000 },
    );
    expect(Buffer.concat(collector.bodies).includes(value)).toBe(false);
  }, 360_000);
});
