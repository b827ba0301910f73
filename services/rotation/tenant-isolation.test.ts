import { randomUUID } from "node:crypto";
import { SecretScope } from "../../gen/murmur/catalog/v1/environments";
import { AgentPhase } from "../../gen/murmur/rotation/v1/agents";
import { AgentsOf } from "../../gen/murmur/rotation/v1/bindings";
import { Role } from "../../gen/murmur/rotation/v1/identity";
import { AckOutcome } from "../../gen/murmur/rotation/v1/vm_sync";
import { connectVm, spawnRequest, toHello, type ScriptedVm } from "../../test/fakes/scripted-vm";
import type { FakeVm } from "../../test/fakes/fake-catalog";
import { hashesOf } from "../../test/harness/bindings";
import { API_KEY } from "../../test/harness/credentials";
import { eventually } from "../../test/harness/eventually";
import { startFleet, type Fleet } from "../../test/harness/fleet";
import { allRefused } from "../../test/harness/refusals";
import type { RotationClients } from "../../test/harness/rotation";

const BOUND = hashesOf("example-provider-key-0001");

describe("another tenant", () => {
  let fleet: Fleet;
  let machine: FakeVm;
  let vm: ScriptedVm;
  let agentId: string;
  let rolloutId: string;
  let credentialId: string;
  let sessionId: string;
  let boundId: string;
  let registeredId: string;
  let stranger: RotationClients;
  let strangeMachine: FakeVm;

  beforeAll(async () => {
    fleet = await startFleet();
    machine = fleet.machine("vm-1");
    vm = await fleet.connect(machine);
    ({ agentId } = await fleet.spawn("secret-agent"));
    rolloutId = (await fleet.rekey("secret-agent", "known")).rollout?.rolloutId ?? "";
    const made = await fleet.owner.credentials.createCredential(API_KEY);
    credentialId = made.credential?.credentialId ?? "";
    const { session } = await fleet.owner.sessions.createSession({ userAgent: "" });
    sessionId = session?.sessionId ?? "";
    const seen = { agentHash: BOUND.hash, name: "", keyPrefix: "" };
    ({ agentId: boundId } = await fleet.owner.bindings.observeKey(seen));
    await fleet.owner.bindings.claimAgent({ agentId: boundId, hashProof: BOUND.proof });
    const registered = { invitation: "", name: "my-coder", requestId: "" };
    const agent = (await fleet.owner.selfRotation.registerAgent(registered)).agent;
    registeredId = agent?.agentId ?? "";
    // The same names, and even the same VM id, in another tenant.
    fleet.catalog.workspaces.set("t2/backend", []);
    strangeMachine = fleet.catalog.addVm("t2", "vm-1", machine.id);
    stranger = fleet.developer("github/mallory", "owner", "t2");
  });

  afterAll(() => fleet.stop());

  const named = { workspace: "backend", path: "secret-agent" };

  it.each<[string, () => Promise<unknown>]>([
    ["GetAgent", () => stranger.agents.getAgent(named)],
    ["ExplainAgent", () => stranger.agents.explainAgent(named)],
    ["KillAgent", () => stranger.agents.killAgent({ ...named, callerAgentId: "" })],
    [
      "RekeyAgent",
      () => stranger.rollouts.rekeyAgent({ ...named, requestId: "known", reason: "" }),
    ],
    [
      "RekeyAgents and PreviewRekey",
      async () => {
        const selection = {
          workspace: "",
          which: { $case: "path" as const, value: named.path },
        };
        const request = { selection: { ...selection, workspace: "backend" } };
        await expect(stranger.rollouts.previewRekey(request)).rejects.toMatchObject({
          code: "NOT_FOUND",
        });
        const all = { workspace: "", which: { $case: "all" as const, value: true } };
        const many = { requestId: "known", reason: "" };
        await stranger.rollouts.rekeyAgents({ selection: all, ...many });
      },
    ],
    [
      "RollbackRollout",
      () => stranger.rollouts.rollbackRollout({ rolloutId, requestId: "known", reason: "" }),
    ],
    ["GetRollout", () => stranger.rollouts.getRollout({ rolloutId })],
    ["ListRolloutProcesses", () => stranger.rollouts.listRolloutProcesses({ rolloutId })],
    ["GetCredential", () => stranger.credentials.getCredential({ credentialId })],
    [
      "RotateCredential",
      () => stranger.credentials.rotateCredential({ credentialId, graceSeconds: 0, requestId: "" }),
    ],
    [
      "RevokeCredential",
      () => stranger.credentials.revokeCredential({ credentialId, at: undefined }),
    ],
    ["RevokeSession", () => stranger.sessions.revokeSession({ sessionId })],
    ["GetBoundAgent", () => stranger.bindings.getBoundAgent({ agentId: boundId })],
    [
      "VerifyBinding",
      () => stranger.bindings.verifyBinding({ agentId: boundId, keyHash: BOUND.hash }),
    ],
    [
      "RebindAgent",
      () =>
        stranger.bindings.rebindAgent({
          ...{ agentId: boundId, newKeyHash: BOUND.hash, keyPrefix: "" },
        }),
    ],
    [
      "ClaimAgent",
      () => stranger.bindings.claimAgent({ agentId: boundId, hashProof: BOUND.proof }),
    ],
    [
      "DeactivateAgent",
      () => stranger.bindings.deactivateAgent({ agentId: boundId, hashProof: BOUND.proof }),
    ],
    [
      "RecordHistory",
      () =>
        stranger.bindings.recordHistory({
          ...{ agentId: boundId, history: { traces: 1n, scores: 0n, trustEdges: 0n } },
        }),
    ],
    [
      "SetPersonRole",
      () => stranger.people.setPersonRole({ developer: "github/alice", role: Role.ROLE_MEMBER }),
    ],
    ["RemovePerson", () => stranger.people.removePerson({ developer: "github/alice" })],
    [
      "GetRegisteredAgent, by id and by name",
      async () => {
        const { selfRotation } = stranger;
        const byName = { $case: "name" as const, value: "my-coder" };
        await expect(selfRotation.getRegisteredAgent({ which: byName })).rejects.toMatchObject({
          code: "NOT_FOUND",
        });
        const which = { $case: "agentId" as const, value: registeredId };
        await selfRotation.getRegisteredAgent({ which });
      },
    ],
    [
      "RotateAgentCredentials",
      () => stranger.selfRotation.rotateAgentCredentials({ agentId: registeredId, requestId: "" }),
    ],
    ["RevokeAgent", () => stranger.selfRotation.revokeAgent({ agentId: registeredId })],
    [
      "SetAutoRotation",
      () =>
        stranger.selfRotation.setAutoRotation({ agentId: registeredId, autoRotation: undefined }),
    ],
    [
      "RotateForAgent by a VM of the same id",
      () =>
        fleet.rotation
          .clients(strangeMachine.credentials)
          .selfRotation.rotateForAgent({ agentId: registeredId }),
    ],
    [
      "GetTenantDeletion of a request id that is another's",
      () => stranger.tenants.getTenantDeletion({ requestId: "of-nobody-of-nobody-of-nobody" }),
    ],
    ["WatchRollout", () => fleet.settled(rolloutId, stranger)],
    [
      "SpawnAgent below it",
      () =>
        stranger.agents.spawnAgent(
          spawnRequest({ workspace: "", slug: "child", parentAgentId: agentId }),
        ),
    ],
    [
      "KillAgent by a VM of the same id",
      () =>
        fleet.rotation
          .clients(strangeMachine.credentials)
          .agents.killAgent({ ...named, callerAgentId: agentId }),
    ],
    [
      "GetAgent by a VM of the same id",
      () => fleet.rotation.clients(strangeMachine.credentials).agents.getAgent(named),
    ],
  ])("learns nothing from %s", async (_rpc, call) => {
    await expect(call()).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  it("sees nothing in lists: agents of all kinds, rollouts, holders, VMs, credentials, sessions, people", async () => {
    const page = { workspace: "", pageSize: 0, pageToken: "" };
    expect(await stranger.agents.listAgents({ ...page, includeEnded: true })).toMatchObject({
      agents: [],
    });
    expect(await stranger.rollouts.listRollouts(page)).toMatchObject({ rollouts: [] });
    expect(await stranger.vmSync.listVmStatuses({})).toEqual({ vms: [] });
    const kind = API_KEY.kind;
    const wish = { kind, includeEnded: true, pageSize: 0, pageToken: "" };
    expect((await stranger.credentials.listCredentials(wish)).credentials).toEqual([]);
    expect((await fleet.owner.credentials.listCredentials(wish)).credentials).toHaveLength(1);
    expect((await stranger.sessions.listSessions({ pageSize: 0, pageToken: "" })).sessions).toEqual(
      [],
    );
    expect(await stranger.sessions.revokeAllSessions({})).toEqual({ revokedSessions: 0 });
    expect(
      (await fleet.owner.sessions.listSessions({ pageSize: 0, pageToken: "" })).sessions,
    ).toHaveLength(1);
    const { people } = await stranger.people.listPeople({ pageSize: 0, pageToken: "" });
    expect(people.map(({ developer }) => developer)).toEqual(["github/mallory"]);
    const all = { includeRevoked: true, pageSize: 0, pageToken: "" };
    expect((await stranger.selfRotation.listRegisteredAgents(all)).agents).toEqual([]);
    expect((await fleet.owner.selfRotation.listRegisteredAgents(all)).agents).toHaveLength(1);
    const pinned = { agentId, generation: 1n, version: 1n };
    const pin = { ...pinned, scope: SecretScope.SECRET_SCOPE_TENANT };
    fleet.catalog.findPins = () => ({ pins: [pin], unknown: [], hadAgentIds: [agentId] });
    const holders = { ...page, secretName: "A", version: 0n };
    expect(await stranger.agents.listHolders(holders)).toMatchObject({ holders: [] });
    expect((await fleet.owner.agents.listHolders(holders)).holders).toHaveLength(1);
  });

  it("cannot tell a bound agent of ours from one that never was, in any word of the answer", async () => {
    const never = randomUUID();
    const answers = async (agentId: string) => {
      const { bindings } = stranger;
      const calls = [
        bindings.getBoundAgent({ agentId }),
        bindings.verifyBinding({ agentId, keyHash: BOUND.hash }),
        bindings.rebindAgent({ agentId, newKeyHash: BOUND.hash, keyPrefix: "" }),
        bindings.claimAgent({ agentId, hashProof: BOUND.proof }),
        bindings.deactivateAgent({ agentId, hashProof: BOUND.proof }),
        bindings.deactivateAgent({ agentId, hashProof: "" }),
      ];
      const errors = await Promise.all(calls.map((call) => call.catch((it: unknown) => it)));
      const words = errors.map((it) => [String(it), JSON.stringify(it)]);
      return JSON.stringify(words).replaceAll(agentId, "ID");
    };
    expect(await answers(boundId)).toBe(await answers(never));
  });

  it("binds the same key for itself, without a conflict, and sees its own agent only", async () => {
    const { bindings } = stranger;
    const seen = { agentHash: BOUND.hash, name: "", keyPrefix: "" };
    const { agentId, created } = await bindings.observeKey(seen);
    expect({ created, isOurs: agentId === boundId }).toEqual({ created: true, isOurs: false });
    const wish = { agentsOf: AgentsOf.AGENTS_OF_EVERYBODY, name: undefined };
    const page = { includeDeactivated: true, pageSize: 0, pageToken: "" };
    const { agents } = await bindings.listBoundAgents({ ...wish, ...page });
    expect(agents.map((it) => it.agentId)).toEqual([agentId]);
  });

  it("may let in the same developer with another role", async () => {
    const request = { developer: "github/alice", role: Role.ROLE_MEMBER };
    await stranger.people.addPerson(request);
    await stranger.people.removePerson(request);
    expect(await fleet.owner.identity.getIdentity({})).toMatchObject({ role: Role.ROLE_OWNER });
  });

  it("may register an agent of the same name, and invites to itself", async () => {
    const { invitation } = await stranger.selfRotation.inviteAgent({});
    const wish = { invitation, name: "my-coder", requestId: "" };
    const anyone = fleet.rotation.clients().selfRotation;
    expect((await anyone.registerAgent(wish)).agent?.owner).toBe("github/mallory");
    const all = { includeRevoked: true, pageSize: 0, pageToken: "" };
    expect((await fleet.owner.selfRotation.listRegisteredAgents(all)).agents).toHaveLength(1);
  });

  it("may use the same agent id, slug and request id for itself", async () => {
    const request = spawnRequest({ workspace: "backend", slug: "secret-agent", agentId });
    const { agent } = await stranger.agents.spawnAgent(request);
    expect(agent).toMatchObject({ agentId, developer: "github/mallory" });
    const { rollout } = await stranger.rollouts.rekeyAgent({
      ...named,
      requestId: "known",
      reason: "",
    });
    expect(rollout?.rolloutId).not.toBe(rolloutId);
    const own = await fleet.owner.agents.getAgent(named);
    expect(own.agent).toMatchObject({ developer: "github/alice", desiredGeneration: 2n });
  });

  it("cannot speak for a VM of the same id: its stream, hello, acks and reports", async () => {
    const client = fleet.rotation.clients(strangeMachine.credentials).vmSync;
    await eventually(() => {
      expect(vm.desired.get(agentId)?.generation).toBe(2n);
    });
    const fingerprint = vm.desired.get(agentId)?.fingerprint ?? Buffer.alloc(0);
    const applied = new Map([[agentId, { generation: 2n, fingerprint }]]);
    const hello = toHello({ client }, applied);
    const ack = {
      ...{ agentId, generation: 2n, fingerprint, outcome: AckOutcome.ACK_OUTCOME_APPLIED },
      ...{ reason: "", omittedNames: [], appliedAt: undefined },
    };
    const report = {
      ...{ agentId, phase: AgentPhase.AGENT_PHASE_COMPLETED },
      ...{ exitStatus: undefined, processes: [] },
    };
    await client.syncVm({ hello, update: { acks: [ack], agents: [report] } });
    const strange = await connectVm({ client, applied });
    await eventually(() => {
      expect(strange.received.length).toBeGreaterThan(0);
    });
    const shown = await fleet.owner.agents.getAgent(named);
    expect(shown.agent).toMatchObject({
      appliedGeneration: 0n,
      phase: AgentPhase.AGENT_PHASE_STARTING,
    });
    const heard = vm.received.length;
    const request = spawnRequest({ workspace: "backend", slug: "their-own" });
    await stranger.agents.spawnAgent(request);
    await eventually(() => {
      expect(strange.desired.has(request.agentId)).toBe(true);
    });
    const news = vm.received.slice(heard).filter((it) => it.message?.$case === "desired");
    expect(news).toEqual([]);
    strange.close();
  });

  it("without a token, nobody learns anything", async () => {
    const nobody = fleet.rotation.clients();
    const calls = [
      nobody.agents.getAgent(named),
      nobody.rollouts.rekeyAgent({ ...named, requestId: "", reason: "" }),
      nobody.vmSync.listVmStatuses({}),
      nobody.identity.getIdentity({}),
      nobody.people.listPeople({ pageSize: 0, pageToken: "" }),
      nobody.people.addPerson({ developer: "github/alice", role: Role.ROLE_OWNER }),
    ];
    const message = "identity token is missing or expired";
    await allRefused(calls, { code: "UNAUTHENTICATED", message });
  });
});
