import { AgentPhase } from "../../../../gen/murmur/rotation/v1/agents";
import { processMessage } from "../../../../test/fakes/process-message";
import { parseReports } from "./parse";

const FROM = {
  ...{ tenantId: "t1", vmId: "vm", bootId: "boot" },
  ...{ incarnation: 1n, incarnationName: "first" },
};

function nameOf(name: string): string | undefined {
  const [report] = parseReports(
    [
      {
        agentId: "0190a0b0-0000-7000-8000-000000000001",
        phase: AgentPhase.AGENT_PHASE_RUNNING,
        exitStatus: undefined,
        processes: [processMessage({ pid: 1, name })],
      },
    ],
    FROM,
  );
  return report?.processes[0]?.name;
}

describe("a text from a VM", () => {
  it("is cut between characters, so that JSON can hold what is left", () => {
    expect(nameOf(`${"a".repeat(1023)}😀`)).toBe(`${"a".repeat(1023)}\uFFFD`);
    expect(nameOf(`${"a".repeat(1022)}😀`)).toBe(`${"a".repeat(1022)}😀`);
  });

  it("loses what PostgreSQL cannot store", () => {
    expect(nameOf("a\0b\uD800c")).toBe("ab\uFFFDc");
  });
});
