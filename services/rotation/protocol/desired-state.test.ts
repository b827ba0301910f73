import { agentsToForget, isOvertaken } from "./desired-state";

test("agents that a complete state does not list are over", () => {
  const state = { revision: 4, complete: true, agentIds: ["a"] };
  expect(agentsToForget(["a", "b"], state, 4)).toEqual(["b"]);
  expect(agentsToForget(["a", "b"], state, undefined)).toEqual(["b"]);
});

test("a delta says nothing about agents that it does not list", () => {
  expect(agentsToForget(["a"], { revision: 4, complete: false, agentIds: [] }, 3)).toEqual([]);
});

test("a complete state that was read before a delta that came first ends nobody", () => {
  expect(agentsToForget(["a"], { revision: 3, complete: true, agentIds: [] }, 4)).toEqual([]);
});

test("a state that was sent before a complete one is dropped, so that no ended agent comes back", () => {
  expect(isOvertaken({ revision: 3 }, 4)).toBe(true);
  expect(isOvertaken({ revision: 4 }, 4)).toBe(false);
  expect(isOvertaken({ revision: 1n }, undefined)).toBe(false);
});
