import { type ProcessIdentity } from "../linux/proc";
import { type AgentRecord } from "./agent-record";
import { judgeAgent, type Present } from "./judge-agent";
import { type ShimMarks } from "./state-directory";
import { SupervisedAgent } from "./supervised-agent";

const shim = { pid: 10, startTime: 1 };
const main = { pid: 11, startTime: 2 };
const record: AgentRecord = {
  ...{ agentId: "a", bootId: "boot", envDir: "/run/a", createdAt: new Date(0) },
  user: { uid: 1, gid: 1 },
};
const OK = { kind: "code", code: 0 } as const;
const begun = { isClaimed: true, isCancelled: false };

const judge = (
  marks: Partial<ShimMarks>,
  alive: ProcessIdentity[],
  more: Partial<Present> = {},
) => {
  const present = { bootId: "boot", isAlive: (it: ProcessIdentity) => alive.includes(it) };
  return judgeAgent(record, { ...begun, ...marks }, { ...present, isShimGone: false, ...more });
};

test.each([
  ["a claim alone: starting", judge({}, []), "starting", undefined],
  ["a shim that lives: starting", judge({ shim }, [shim]), "starting", undefined],
  ["a shim that ended first: failed", judge({ shim }, []), "failed", "not-started"],
  ["a shim that never came: failed", judge({}, [], { isShimGone: true }), "failed", "not-started"],
  ["both live: running", judge({ shim, main }, [shim, main]), "running", undefined],
  ["only the agent lives: running", judge({ shim, main }, [main]), "running", undefined],
  ["only the shim lives: running", judge({ shim, main }, [shim]), "running", undefined],
  ["neither lives: failed", judge({ shim, main }, []), "failed", "vanished"],
  ["neither, cancelled", judge({ shim, main, isCancelled: true }, []), "cancelled", "vanished"],
  [
    "another boot: cancelled",
    judge({ shim, main }, [main], { bootId: "b" }),
    "cancelled",
    "rebooted",
  ],
])("%s", (_, state, phase, why) => {
  expect(state.phase).toBe(phase);
  expect(state.exit).toEqual(why && { kind: "lost", why });
});

test("a status that was written counts, whatever else is seen", () => {
  expect(judge({ shim, main, exit: OK }, [shim, main]).phase).toBe("completed");
  expect(judge({ shim, main, exit: OK }, [], { bootId: "other" }).phase).toBe("completed");
  expect(judge({ exit: OK, isCancelled: true }, []).phase).toBe("cancelled");
  expect(judge({ exit: { kind: "code", code: 1 } }, []).phase).toBe("failed");
});

test("a status that is written between the look at the marks and at the shim is not lost", () => {
  const looks: ShimMarks[] = [begun, { ...begun, exit: OK }];
  const agent = new SupervisedAgent(record, { readMarks: () => looks.shift()! }, "boot");
  agent.isShimGone = true;
  expect(agent.judge()).toMatchObject({ phase: "completed", exit: OK });
});
