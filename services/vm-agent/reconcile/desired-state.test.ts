import fc from "fast-check";
import { AgentPhase } from "../../../gen/murmur/rotation/v1/agents";
import { AgentWish, type DesiredAgent } from "../../../gen/murmur/rotation/v1/vm_sync";
import { DesiredState } from "./desired-state";

const agent = (
  agentId: string,
  generation: bigint,
  wish = AgentWish.AGENT_WISH_RUN,
): DesiredAgent => ({
  agentId,
  generation,
  wish,
  workspace: "w",
  path: agentId,
  fingerprint: Buffer.alloc(0),
  command: [],
  workingDirectory: "",
  parentAgentId: "",
  developer: "",
  phase: AgentPhase.AGENT_PHASE_RUNNING,
});

const delta = (...agents: DesiredAgent[]) => ({ complete: false, agents, traceparent: "" });

describe("DesiredState", () => {
  it("ends in the same state whatever the order and number of deltas", () => {
    const message = fc.record({
      agentId: fc.constantFrom("a", "b"),
      generation: fc.bigInt(1n, 9n),
      wish: fc.constantFrom(AgentWish.AGENT_WISH_RUN, AgentWish.AGENT_WISH_END),
    });
    const shuffled = fc
      .array(message, { minLength: 1, maxLength: 12 })
      .chain((list) =>
        fc.tuple(
          fc.constant(list),
          fc.shuffledSubarray([...list, ...list], { minLength: list.length * 2 }),
        ),
      );
    fc.assert(
      fc.property(shuffled, ([list, other]) => {
        const told = [list, other].map((messages) => {
          const state = new DesiredState();
          for (const { agentId, generation, wish } of messages)
            state.take(delta(agent(agentId, generation, wish)));
          return [...state.agents.values()]
            .map(({ agentId, generation, wish }) => `${agentId}:${generation}:${wish}`)
            .sort();
        });
        expect(told[0]).toEqual(told[1]);
      }),
    );
  });

  it("drops agents that a whole state does not list", () => {
    const state = new DesiredState();
    state.take(delta(agent("a", 1n), agent("b", 1n)));
    expect(state.isComplete).toBe(false);
    state.take({ complete: true, agents: [agent("b", 1n)], traceparent: "" });
    expect(state.isComplete).toBe(true);
    expect([...state.agents.keys()]).toEqual(["b"]);
  });

  it("does not go back to the generation of a whole state that was made before a delta", () => {
    const state = new DesiredState();
    state.take(delta(agent("a", 5n)));
    state.take({ complete: true, agents: [agent("a", 4n)], traceparent: "" });
    expect(state.agents.get("a")?.generation).toBe(5n);
  });
});
