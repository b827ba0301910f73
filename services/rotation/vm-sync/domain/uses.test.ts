import type { AgentProcess } from "../../agents/domain/agent-process";
import { findUses } from "./uses";

const process = (
  generation: number,
  times: { firstUsedAt?: string; lastUsedBeforeAt?: string } = {},
): AgentProcess => ({
  ...{ pid: 7, parentPid: 1, name: "node", startTicks: "1" },
  receipt: {
    ...{ generation: String(generation), layer: "node", readsThrough: false },
    ...{ notAppliedNatively: false, ...times },
  },
});
const silent: AgentProcess = { pid: 8, parentPid: 1, name: "sh", startTicks: "2" };
const T = ["2030-01-01T00:00:00.000Z", "2030-01-01T00:00:01.000Z", "2030-01-01T00:00:02.000Z"];
const at = (index: number) => T[index] ?? "";

it("tells the first use of a generation, by the earliest of its processes, once", () => {
  const now = [
    silent,
    process(2, { firstUsedAt: at(1) }),
    process(2, { firstUsedAt: at(0) }),
    process(3),
  ];
  expect(findUses({ used: 1n, processes: [] }, now)).toEqual([
    { which: "first-use", generation: 2n, at: at(0) },
  ]);
  expect(findUses({ used: 2n, processes: [] }, now)).toEqual([]);
});

it("tells the last use of a generation when the last process has left it", () => {
  const before = { used: 2n, processes: [process(1), process(2)] };
  const left = process(2, { firstUsedAt: at(1), lastUsedBeforeAt: at(0) });
  expect(findUses(before, [process(1), left])).toEqual([]);
  expect(findUses(before, [left, process(2, { lastUsedBeforeAt: at(2) })])).toEqual([
    { which: "last-use", generation: 1n, at: at(2) },
  ]);
  expect(findUses(before, [silent])).toEqual([{ which: "last-use", generation: 1n }]);
});

it("tells nothing of a program that ends while its generation is the newest", () => {
  expect(findUses({ used: 2n, processes: [process(2)] }, [])).toEqual([]);
});
