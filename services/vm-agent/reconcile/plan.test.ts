import { AgentPhase } from "../../../gen/murmur/rotation/v1/agents";
import { AgentWish, type DesiredAgent } from "../../../gen/murmur/rotation/v1/vm_sync";
import { planWork, type LocalAgent } from "./plan";

const FINGERPRINT = Buffer.from("aa", "hex");

function desired(changes: Partial<DesiredAgent> = {}): DesiredAgent {
  return {
    agentId: "a",
    workspace: "backend",
    path: "fix-auth",
    wish: AgentWish.AGENT_WISH_RUN,
    generation: 3n,
    fingerprint: FINGERPRINT,
    command: ["true"],
    workingDirectory: "",
    parentAgentId: "",
    developer: "github/alice",
    phase: AgentPhase.AGENT_PHASE_RUNNING,
    ...changes,
  };
}

function local(changes: Partial<LocalAgent> = {}): LocalAgent {
  const applied = { generation: 3n, fingerprint: FINGERPRINT };
  return { agentId: "a", applied, isDamaged: false, life: "living", ...changes };
}

const plan = (agents: DesiredAgent[], locals: LocalAgent[], isComplete = true) =>
  planWork(
    new Map(agents.map((agent) => [agent.agentId, agent])),
    isComplete,
    new Map(locals.map((agent) => [agent.agentId, agent])),
  );

const IDLE = { fetch: [], start: [], end: [], forget: [], lost: [], neverStarted: [] };

describe("planWork", () => {
  it("does nothing when the machine is as desired", () => {
    expect(plan([desired()], [local()])).toEqual(IDLE);
  });

  it("fetches a later generation", () => {
    const { fetch } = plan([desired({ generation: 4n })], [local()]);
    expect(fetch).toEqual([{ agentId: "a", generation: 4n }]);
  });

  it("never fetches a generation below the applied one, damaged or not", () => {
    const { fetch } = plan([desired({ generation: 2n })], [local({ isDamaged: true })]);
    expect(fetch).toEqual([]);
  });

  it("fetches the same generation again when its files are damaged", () => {
    expect(plan([desired()], [local({ isDamaged: true })]).fetch).toHaveLength(1);
  });

  it("fetches the same generation again when another set stands under its number", () => {
    const applied = { generation: 3n, fingerprint: Buffer.from("bb", "hex") };
    expect(plan([desired()], [local({ applied })]).fetch).toHaveLength(1);
  });

  it("starts an agent once: not without a generation, not when it lives, not when it ended", () => {
    const starting = desired({ phase: AgentPhase.AGENT_PHASE_STARTING });
    expect(plan([starting], []).start).toEqual([starting]);
    expect(plan([{ ...starting, generation: 0n }], []).start).toEqual([]);
    expect(plan([starting], [local()]).start).toEqual([]);
    expect(plan([starting], [local({ life: "ended" })]).start).toEqual([]);
  });

  it("never starts an agent again that has run, and says that it is lost", () => {
    const agent = desired();
    expect(plan([agent], [])).toEqual({ ...IDLE, lost: [agent] });
  });

  it("ends a living agent when told, and says so of one that was never started", () => {
    const agent = desired({ wish: AgentWish.AGENT_WISH_END });
    expect(plan([agent], [local()])).toEqual({ ...IDLE, end: ["a"] });
    expect(plan([agent], [])).toEqual({ ...IDLE, neverStarted: [agent] });
  });

  it("keeps a living agent that nobody mentions", () => {
    expect(plan([], [local()])).toEqual(IDLE);
  });

  it("forgets an ended agent only when a whole state does not list it", () => {
    const ended = local({ life: "ended" });
    expect(plan([], [ended], false).forget).toEqual([]);
    expect(plan([desired()], [ended]).forget).toEqual([]);
    expect(plan([], [ended]).forget).toEqual(["a"]);
  });

  it("leaves an agent alone whose wish it does not know", () => {
    expect(plan([desired({ wish: AgentWish.AGENT_WISH_UNSPECIFIED })], [])).toEqual(IDLE);
  });
});
