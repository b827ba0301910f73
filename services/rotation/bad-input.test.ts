import fc from "fast-check";
import { isAppError } from "../../lib/errors";
import { connectVm } from "../../test/fakes/scripted-vm";
import { eventually } from "../../test/harness/eventually";
import { startFleet, type Fleet } from "../../test/harness/fleet";

/** Texts that have broken something somewhere: empty, NUL, quotes, SQL, long, not ASCII. */
const text = fc.oneof(
  fc.constantFrom("", "\0", "a\0b", "'; drop table rotation.agents; --", "x".repeat(10_000)),
  fc.constantFrom("backend", "fix-auth", "fix-auth/child", "../..", "ünïcode", "😀"),
  fc.string({ maxLength: 40 }),
);
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const bytes = fc.uint8Array({ maxLength: 80 }).map((it) => Buffer.from(it));
const phase = fc.integer({ min: 0, max: 9 });

describe("whatever is sent", () => {
  let fleet: Fleet;
  beforeAll(async () => {
    fleet = await startFleet();
    fleet.machine("vm-1");
    await fleet.spawn("fix-auth");
  });
  afterAll(() => fleet.stop());

  /** Good or refused, but never a bug and never a hang. */
  const answered = async (call: Promise<unknown>) => {
    try {
      await call;
    } catch (error) {
      if (!isAppError(error)) throw error;
      expect(error.code).not.toBe("INTERNAL");
      expect(error.message.length).toBeLessThan(500);
    }
  };

  it("every developer's call is answered or refused with a reason", async () => {
    const { agents, rollouts } = fleet.owner;
    await fc.assert(
      fc.asyncProperty(text, text, text, fc.integer(), async (a, b, c, n) => {
        await Promise.all([
          answered(agents.getAgent({ workspace: a, path: b })),
          answered(agents.explainAgent({ workspace: a, path: b })),
          answered(agents.killAgent({ workspace: a, path: b, callerAgentId: c })),
          answered(
            agents.listAgents({ workspace: a, includeEnded: true, pageSize: n, pageToken: b }),
          ),
          answered(
            agents.listHolders({
              ...{ secretName: a, version: BigInt(n), workspace: b, pageSize: n, pageToken: c },
            }),
          ),
          answered(
            agents.spawnAgent({
              ...{ agentId: a, workspace: b, slug: c, vm: a, parentAgentId: b },
              ...{ command: [a, b], workingDirectory: c, expectsSpawnSecrets: n % 2 === 0 },
            }),
          ),
          answered(rollouts.rekeyAgent({ workspace: a, path: b, requestId: c, reason: a })),
          answered(
            rollouts.rekeyAgents({
              selection: { workspace: a, which: { $case: "secretName", value: b } },
              ...{ requestId: c, reason: a },
              canary: {
                size: { $case: "agents", value: n },
                ...{ health: { argv: [a, b] }, healthTimeoutMs: n, thenWaitMs: BigInt(n) },
              },
            }),
          ),
          answered(
            rollouts.previewRekey({
              selection: { workspace: a, which: { $case: "path", value: b } },
            }),
          ),
          answered(rollouts.rollbackRollout({ rolloutId: a, requestId: b, reason: c })),
          answered(rollouts.getRollout({ rolloutId: a })),
          answered(rollouts.listRollouts({ workspace: a, pageSize: n, pageToken: c })),
        ]);
      }),
      { numRuns: 40 },
    );
  }, 180_000);

  it("a VM's stream and call take anything, and the next VM is served as before", async () => {
    const machine = fleet.machine("vm-2");
    const client = fleet.rotation.clients(machine.credentials).vmSync;
    const { agentId: real } = await fleet.spawn("real", { vm: "vm-2" });
    const agentId = fc.oneof(fc.constantFrom(real, real.toUpperCase()), text);
    const exit = fc.option(
      fc.oneof(
        fc.integer().map((value) => ({ how: { $case: "code" as const, value } })),
        text.map((value) => ({ how: { $case: "signal" as const, value } })),
        text.map((value) => ({ how: { $case: "unknown" as const, value } })),
      ),
      { nil: undefined },
    );
    const time = fc.option(fc.date({ noInvalidDate: false }), { nil: undefined });
    const process = fc.record({
      ...{ pid: fc.integer(), parentPid: fc.integer(), name: text, startTicks: int64 },
      ...{ generation: int64, layer: text, readsThrough: fc.boolean() },
      ...{ notAppliedNatively: fc.boolean(), firstUsedAt: time, lastUsedBeforeAt: time },
    });
    const report = fc.record({
      ...{ agentId, phase, exitStatus: exit, processes: fc.array(process, { maxLength: 3 }) },
    });
    const ack = fc.record({
      ...{ agentId, generation: int64, fingerprint: bytes, outcome: phase, reason: text },
      ...{ omittedNames: fc.array(text, { maxLength: 3 }), appliedAt: fc.constant(undefined) },
    });
    const hello = fc.record({
      bootId: fc.oneof(fc.constant("boot"), text),
      incarnation: fc.oneof(fc.constant("start"), text),
      incarnationNumber: fc.oneof(fc.constant(1n), int64),
      applied: fc.array(fc.record({ agentId, generation: int64, fingerprint: bytes }), {
        maxLength: 3,
      }),
      agents: fc.array(report, { maxLength: 3 }),
    });
    const update = fc.record({
      acks: fc.array(ack, { maxLength: 3 }),
      agents: fc.array(report, { maxLength: 3 }),
    });
    await fc.assert(
      fc.asyncProperty(hello, update, (first, second) =>
        answered(client.syncVm({ hello: first, update: second })),
      ),
      { numRuns: 60 },
    );
    const other = fleet.machine("vm-3");
    const vm = await connectVm({ client: fleet.rotation.clients(other.credentials).vmSync });
    await eventually(() => {
      expect(vm.received.length).toBeGreaterThan(0);
    });
    vm.close();
  }, 180_000);
});
