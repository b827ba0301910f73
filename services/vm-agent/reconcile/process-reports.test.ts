import { AgentPhase, type AgentProcess } from "../../../gen/murmur/rotation/v1/agents";
import type { AgentReport } from "../../../gen/murmur/rotation/v1/vm_sync";
import { FakeClock } from "../../../test/fakes/fake-clock";
import { processMessage } from "../../../test/fakes/process-message";
import { createProcessReports } from "./process-reports";

const child = (pid: number, startTicks = 1n): AgentProcess => processMessage({ pid, startTicks });
const agent = (...processes: AgentProcess[]): AgentReport => ({
  agentId: "a",
  phase: AgentPhase.AGENT_PHASE_RUNNING,
  exitStatus: undefined,
  processes,
});

it("tells of processes when they change, a reused pid included, and is silent otherwise", async () => {
  const clock = new FakeClock();
  const sent: AgentReport[][] = [];
  let now = [agent(child(10))];
  const stopping = new AbortController();
  const deps = {
    reports: () => now,
    send: (reports: AgentReport[]) => void sent.push(reports),
    clock,
    everyMs: 100,
  };
  const running = createProcessReports(deps).run(stopping.signal);
  await clock.advance(350);
  expect(sent).toEqual([now]);
  now = [agent(child(10), child(11))];
  await clock.advance(100);
  expect(sent).toHaveLength(2);
  now = [agent(child(11), child(10))];
  await clock.advance(100);
  expect(sent).toHaveLength(2);
  now = [agent(child(10, 2n), child(11))];
  await clock.advance(100);
  expect(sent).toHaveLength(3);
  stopping.abort();
  await running;
});

it("looks soon after a swap, tells even that nothing has changed, and puts no look off", async () => {
  const clock = new FakeClock();
  const sentAt: number[] = [];
  const stopping = new AbortController();
  const reports = createProcessReports({
    reports: () => [agent(child(10))],
    send: () => void sentAt.push(clock.monotonicMs()),
    clock,
    everyMs: 3_000,
  });
  const running = reports.run(stopping.signal);
  await clock.advance(3_500);
  expect(sentAt).toEqual([3_000]);
  reports.swapped("a");
  await clock.advance(40);
  reports.swapped("a");
  await clock.advance(5_000);
  expect(sentAt).toEqual([3_000, 3_550, 3_790, 4_540]);
  stopping.abort();
  await running;
});
