import {
  AckOutcome,
  AgentWish,
  type VmDesiredState,
  type VmUpdate,
} from "../../gen/murmur/rotation/v1/vm_sync";
import { AgentPhase } from "../../gen/murmur/rotation/v1/agents";
import { ErrorReason } from "../../gen/murmur/errors/v1/error_reason";
import { failedPrecondition } from "../../lib/errors";
import type { Listener, WakeUps } from "../../services/vm-agent/wake-ups/wake-ups";
import { FakeVmSync } from "../fakes/fake-vm-sync";
import { eventually } from "../harness/eventually";

/** One source of wake-ups under test. */
export interface WakeUpsRig {
  open(service: { port: number; listener: Listener }): Promise<WakeUps>;
  /** Tells the VM that its desired state changed, as the source does it. */
  announce(service: FakeVmSync): Promise<void>;
  close(): Promise<void>;
}

const ack = {
  agentId: "a",
  generation: 1n,
  fingerprint: Buffer.from("f"),
  outcome: AckOutcome.ACK_OUTCOME_APPLIED,
  reason: "",
  omittedNames: [],
  appliedAt: new Date(0),
};

/** What every source of wake-ups promises, on a real connection to a service that may fail. */
export function wakeUpsContract(name: string, makeRig: () => Promise<WakeUpsRig>): void {
  describe(`${name} wake-ups`, () => {
    let rig: WakeUpsRig;
    let service: FakeVmSync;
    let port: number;
    let wakeUps: WakeUps;
    let stopping: AbortController;
    let running: Promise<void>;
    let seen: VmDesiredState[];
    let failures: VmUpdate;
    let failed: { error: unknown; atMs: number }[];
    let pauseMs: number;

    const state = (generation: bigint): VmDesiredState => ({
      complete: true,
      traceparent: "",
      agents: [
        {
          agentId: "a",
          workspace: "w",
          path: "a",
          wish: AgentWish.AGENT_WISH_RUN,
          generation,
          fingerprint: Buffer.alloc(0),
          command: [],
          workingDirectory: "",
          parentAgentId: "",
          developer: "d",
          phase: AgentPhase.AGENT_PHASE_RUNNING,
        },
      ],
    });
    const lastSeen = () => seen.at(-1)?.agents[0]?.generation;

    beforeAll(async () => {
      rig = await makeRig();
    }, 120_000);
    afterAll(() => rig.close());

    beforeEach(async () => {
      service = new FakeVmSync();
      service.desired = state(1n);
      port = await service.start();
      seen = [];
      failures = { acks: [], agents: [] };
      failed = [];
      pauseMs = 0;
      const listener: Listener = {
        hello: () => ({
          bootId: "boot",
          incarnation: "i",
          incarnationNumber: 7n,
          applied: [],
          agents: [],
        }),
        failures: () => failures,
        onDesired: (desired) => seen.push(desired),
        onComing: () => undefined,
        onFailure: (error) => {
          failed.push({ error, atMs: performance.now() });
          return pauseMs;
        },
      };
      wakeUps = await rig.open({ port, listener });
      stopping = new AbortController();
      running = wakeUps.run(stopping.signal);
    });

    afterEach(async () => {
      stopping.abort();
      await running;
      await service.stop();
    });

    it("says hello first and hears the whole desired state", async () => {
      await eventually(() => {
        expect(lastSeen()).toBe(1n);
      });
      expect(service.hellos[0]).toMatchObject({ bootId: "boot", incarnationNumber: 7n });
    });

    it("hears what changed when it is announced, however often that is", async () => {
      await eventually(() => {
        expect(lastSeen()).toBe(1n);
      });
      await rig.announce(service);
      service.desired = state(2n);
      for (let count = 0; count < 5; count++) await rig.announce(service);
      await eventually(() => {
        expect(lastSeen()).toBe(2n);
      });
    });

    it("hears what changed without any announcement when it is asked to look", async () => {
      await eventually(() => {
        expect(lastSeen()).toBe(1n);
      });
      service.desired = state(3n);
      wakeUps.refresh();
      await eventually(() => {
        expect(lastSeen()).toBe(3n);
      });
    });

    it("takes evidence to the service", async () => {
      await eventually(() => {
        expect(seen.length).toBeGreaterThan(0);
      });
      wakeUps.send({ acks: [ack], agents: [] });
      await eventually(() => {
        expect(service.acks).toContainEqual(
          expect.objectContaining({ agentId: "a", generation: 1n }),
        );
      });
    });

    it("comes back by itself after the service was away, says hello again and tells what failed", async () => {
      await eventually(() => {
        expect(lastSeen()).toBe(1n);
      });
      await service.stop();
      wakeUps.send({ acks: [ack], agents: [] }); // Lost with the service: the next hello makes up for it.
      failures = {
        acks: [{ ...ack, outcome: AckOutcome.ACK_OUTCOME_FAILED, reason: "swap: full" }],
        agents: [],
      };
      service = new FakeVmSync();
      service.desired = state(4n);
      await service.start(port);
      await eventually(
        () => {
          expect(lastSeen()).toBe(4n);
          expect(service.hellos.length).toBeGreaterThan(0);
          expect(service.acks).toContainEqual(expect.objectContaining({ reason: "swap: full" }));
        },
        { timeoutMs: 20_000 },
      );
    });

    it("tells why it was refused, and says nothing more for as long as it is told to wait", async () => {
      await eventually(() => {
        expect(lastSeen()).toBe(1n);
      });
      const reason = ErrorReason.ERROR_REASON_INCARNATION_SUPERSEDED;
      const metadata = { incarnation_number: "9" };
      pauseMs = 300;
      service.refusal = failedPrecondition(reason, "another life", metadata);
      await eventually(() => {
        // Neither an event nor the timer shortens the wait.
        wakeUps.refresh();
        wakeUps.send({ acks: [ack], agents: [] });
        expect(failed.length).toBeGreaterThan(2);
      });
      expect(failed[0]?.error).toMatchObject({ reason, metadata });
      const gapsMs = failed.slice(1).map(({ atMs }, at) => atMs - (failed[at]?.atMs ?? 0));
      expect(Math.min(...gapsMs)).toBeGreaterThan(290);
    });

    it("goes on trying while the service refuses", async () => {
      service.isRefusing = true;
      const before = seen.length;
      await service.stop();
      await service.start(port);
      service.isRefusing = false;
      service.desired = state(5n);
      wakeUps.refresh();
      await eventually(
        () => {
          expect(seen.length).toBeGreaterThan(before);
          expect(lastSeen()).toBe(5n);
        },
        { timeoutMs: 20_000 },
      );
    });
  });
}
