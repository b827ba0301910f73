import { AgentSettings } from "../../../gen/murmur/rotation/v1/agents";
import { generateSigningKey } from "../../../lib/identity/signing-key";
import { createAgentBindings } from "./agent-bindings";
import type { Agent, LaunchableAgent } from "./domain/agent";

describe("the binding of an agent's record", () => {
  const signingKey = generateSigningKey("murmur-rotation");
  const bindings = createAgentBindings({ signingKey });
  const fields = {
    tenantId: "t1",
    id: "a0000000-0000-4000-8000-000000000001",
    vmId: "vm-1",
    workspace: "backend",
    developer: "github/alice",
    parentId: "a0000000-0000-4000-8000-000000000002" as string | undefined,
    expectsSpawnSecrets: true,
  };
  const agent = (change: Partial<Agent> = {}): Agent => ({
    ...{ ...fields, slug: "x", path: "x", rootId: fields.id, ancestorIds: [], vmName: "vm-1" },
    ...{ phase: "running", killRequested: false, desired: 1n, desiredAt: undefined, applied: 0n },
    ...{ appliedAt: undefined, failure: undefined, exit: undefined, createdAt: new Date(0) },
    ...{ endedAt: undefined, reportedAt: undefined, revision: 1n },
    ...{ binding: bindings.macOf(fields), ...change },
  });

  it("holds for the record that it was made for, whatever the agent has been through since", () => {
    expect(bindings.isGenuine(agent())).toBe(true);
    expect(bindings.isGenuine(agent({ phase: "failed", desired: 9n, revision: 7n }))).toBe(true);
  });

  it.each<Partial<Agent>>([
    { tenantId: "t2" },
    { id: "a0000000-0000-4000-8000-000000000003" },
    { vmId: "vm-2" },
    { workspace: "frontend" },
    { developer: "github/bob" },
    { parentId: undefined },
    { expectsSpawnSecrets: false },
    { parentId: "a0000000-0000-4000-8000-000000000004" },
    { workspace: "backendgithub", developer: "/alice" },
    { binding: Buffer.alloc(32) },
    { binding: Buffer.alloc(0) },
    { binding: bindings.macOf(fields).subarray(0, 31) },
  ])("does not hold for a record with %j", (change) => {
    expect(bindings.isGenuine(agent(change))).toBe(false);
  });

  it("does not hold for who has another key", () => {
    const other = createAgentBindings({ signingKey: generateSigningKey("murmur-rotation") });
    expect(other.isGenuine(agent())).toBe(false);
  });

  it("holds on after the signing key was replaced, while the earlier one is configured", () => {
    const next = generateSigningKey("murmur-rotation");
    const after = createAgentBindings({ signingKey: next, earlierSigningKeys: [signingKey] });
    expect(after.isGenuine(agent())).toBe(true);
    expect(after.isGenuine(agent({ vmId: "vm-2" }))).toBe(false);
    expect(bindings.isGenuine(agent({ binding: after.macOf(fields) }))).toBe(false);
  });

  describe("of what it runs", () => {
    const launch = { ...fields, command: ["/bin/sh", "-c", "true"], workingDirectory: "/srv" };
    const launchable = (change: Partial<LaunchableAgent> = {}): LaunchableAgent => ({
      ...agent(),
      ...{ command: launch.command, workingDirectory: "/srv", fingerprint: Buffer.alloc(32) },
      launchMac: bindings.launchMacOf(launch),
      ...change,
    });

    it("holds for the command that its spawner gave, also after the key was replaced", () => {
      const next = generateSigningKey("murmur-rotation");
      const after = createAgentBindings({ signingKey: next, earlierSigningKeys: [signingKey] });
      expect(bindings.mayLaunch(launchable())).toBe(true);
      expect(after.mayLaunch(launchable())).toBe(true);
    });

    it.each<Partial<LaunchableAgent>>([
      { command: ["/bin/sh", "-c", "false"] },
      { command: ["/bin/sh", "-ctrue"] },
      { command: [] },
      { workingDirectory: "/tmp" },
      { settings: AgentSettings.fromPartial({ layersOff: ["node"] }) },
      { workingDirectory: "/bin/sh", command: ["/srv", "-c", "true"] },
      { developer: "github/bob" },
      { id: "a0000000-0000-4000-8000-000000000003" },
      { launchMac: Buffer.alloc(0) },
      { launchMac: bindings.macOf(fields) },
    ])("does not hold for a record with %j", (change) => {
      expect(bindings.mayLaunch(launchable(change))).toBe(false);
    });
  });
});
