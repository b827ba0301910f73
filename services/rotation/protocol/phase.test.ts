import fc from "fast-check";
import { isEnding, isTerminal, mergeReport, nextPhase, type Phase, type PhaseEvent } from "./phase";

const phases: Phase[] = ["starting", "running", "idle", "completed", "failed", "cancelled"];
const events: PhaseEvent[] = ["started", "waits", "works", "succeeded", "failed", "cancelled"];

test("nothing leaves a terminal phase", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...phases.filter(isTerminal)),
      fc.array(fc.constantFrom(...events)),
      (end, facts) => {
        expect(facts.reduce(nextPhase, end)).toBe(end);
      },
    ),
  );
});

test("nothing returns to starting", () => {
  for (const phase of phases) {
    for (const event of events) expect(nextPhase(phase, event)).not.toBe("starting");
  }
});

test("a fact that is repeated changes nothing more", () => {
  for (const phase of phases) {
    for (const event of events) {
      const once = nextPhase(phase, event);
      expect(nextPhase(once, event)).toBe(once);
    }
  }
});

test("a late start does not wake an agent that waits, work does", () => {
  expect(nextPhase("idle", "started")).toBe("idle");
  expect(nextPhase("idle", "works")).toBe("running");
});

test("an end that was asked for is cancelled, whatever the process's status", () => {
  expect(mergeReport("running", "completed", true)).toBe("cancelled");
  expect(mergeReport("running", "failed", true)).toBe("cancelled");
  expect(mergeReport("running", "failed", false)).toBe("failed");
  expect(mergeReport("completed", "failed", true)).toBe("completed");
});

test("a report moves an agent between running and idle, and never back to starting", () => {
  expect(mergeReport("starting", "running", false)).toBe("running");
  expect(mergeReport("running", "idle", false)).toBe("idle");
  expect(mergeReport("idle", "running", false)).toBe("running");
  expect(mergeReport("running", "starting", false)).toBe("running");
});

test("an agent whose end was asked for counts as ending before its VM has carried it out", () => {
  expect(isEnding({ phase: "running", killRequested: true })).toBe(true);
  expect(isEnding({ phase: "failed", killRequested: false })).toBe(true);
  expect(isEnding({ phase: "idle", killRequested: false })).toBe(false);
});
