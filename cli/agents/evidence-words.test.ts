import { type ProcessView } from "./agent-view";
import { consumedWords, evidenceWords, isOn } from "./evidence-words";

const process = (pid: number, name: string, more: Partial<ProcessView> = {}): ProcessView => ({
  ...{ pid, parentPid: 1, name, generation: 17, layer: "exec", readsThrough: false },
  ...{ notAppliedNatively: false, firstUsedAt: undefined, lastUsedBeforeAt: undefined },
  ...more,
});

describe("evidence in words", () => {
  it("counts who has taken a generation over, and names who has not or cannot be told", () => {
    const three = [1, 2, 3].map((pid) => process(pid, "bash"));
    expect(evidenceWords([...three, process(4711, "java", { generation: 0 })], 17)).toBe(
      "agent and 3 of 4 processes on generation 17; pid 4711 (java) cannot be told",
    );
    expect(evidenceWords([process(1, "sh")], 17)).toBe("agent and 1 of 1 process on generation 17");
  });

  it("keeps what was taken over and what the next read will see apart", () => {
    const idle = process(5, "node", { generation: 16, readsThrough: true });
    const old = process(6, "make", { generation: 16 });
    expect(evidenceWords([idle, old], 17)).toBe(
      "agent and 0 of 2 processes on generation 17; pid 5 (node) reads through; " +
        "pid 6 (make) is on generation 16",
    );
    expect([isOn(idle, 17), isOn(old, 17)]).toEqual([true, false]);
    expect(consumedWords(idle, 17)).toBe("16, reads through");
    expect(consumedWords(old, 17)).toBe("16");
  });

  it("never counts a process that cannot be told as done", () => {
    const silent = process(7, "java", { generation: 0, readsThrough: true });
    expect(isOn(silent, 17)).toBe(false);
    expect(consumedWords(silent, 17)).toBe("cannot be told");
  });
});
