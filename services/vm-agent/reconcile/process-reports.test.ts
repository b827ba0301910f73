import { AgentPhase, type AgentProcess } from "../../../gen/murmur/rotation/v1/agents";
import type { AgentReport } from "../../../gen/murmur/rotation/v1/vm_sync";
import { FakeClock } from "../../../test/fakes/fake-clock";
import { reportProcesses } from "./process-reports";

const child = (pid: number, startTicks = 1n): AgentProcess => ({
  pid,
  parentPid: 1,
  name: "sh",
  startTicks,
});
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
  const running = reportProcesses(deps, stopping.signal);
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
