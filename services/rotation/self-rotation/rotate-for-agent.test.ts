import { randomUUID } from "node:crypto";
import type { SetAgentSecretsRequest } from "../../../gen/murmur/catalog/v1/environments";
import type { AutoRotation } from "../../../gen/murmur/rotation/v1/self_rotation";
import { unavailable } from "../../../lib/errors";
import { bearerCredentials } from "../../../lib/identity/credentials";
import { sensitive } from "../../../lib/sensitive";
import type { FakeVm } from "../../../test/fakes/fake-catalog";
import { eventually } from "../../../test/harness/eventually";
import { startFleet, type Fleet } from "../../../test/harness/fleet";
import type { RotationClients } from "../../../test/harness/rotation";
import type { ScriptedVm } from "../../../test/fakes/scripted-vm";

const NOT_REGISTERED = { code: "NOT_FOUND" };

describe("a VM that rotates for its agents", () => {
  let fleet: Fleet;
  let machine: FakeVm;
  let vm: ScriptedVm;
  let daemon: RotationClients["selfRotation"];

  beforeAll(async () => {
    fleet = await startFleet();
    machine = fleet.machine("vm-1");
    vm = await fleet.connect(machine, { isObedient: true });
    daemon = fleet.rotation.clients(machine.credentials).selfRotation;
  });
  afterAll(() => fleet.stop());

  const auto = (change: Partial<AutoRotation> = {}): AutoRotation => ({
    ...{ every: { seconds: 86_400n, nanos: 0 }, workspace: "backend", path: "", apiKeyName: "" },
    ...{ rotationSecretName: "", dueAt: undefined, ...change },
  });
  /** An agent that runs, registered under its own name. */
  const start = async (change: Partial<AutoRotation> = {}) => {
    const name = `agent-${randomUUID().slice(0, 8)}`;
    const running = await fleet.spawn(name, { vm: "vm-1" });
    const made = await fleet.owner.selfRotation.registerAgent({
      ...{ invitation: "", name, requestId: "" },
    });
    const agentId = made.agent?.agentId ?? "";
    await fleet.owner.selfRotation.setAutoRotation({ agentId, autoRotation: auto(change) });
    return { agentId, name, runningId: running.agentId, apiKey: made.apiKey };
  };
  const due = async () =>
    new Map(
      (await daemon.listDueRotations({})).rotations.map((it) => [it.agentId, it.dueIn?.seconds]),
    );
  const makeDue = (agentId: string) =>
    fleet.rotation.pool.query(
      `update rotation.self_rotating_agents set rotation_due_at = clock_timestamp()
       where agent_id = $1`,
      [agentId],
    );
  const secretsOf = (runningId: string) =>
    fleet.catalog.agentSecrets
      .filter((it) => it.agentId === runningId)
      .map(({ secrets }: SetAgentSecretsRequest) =>
        Object.fromEntries(secrets.map((it) => [it.name, it.plaintextValue.toString()])),
      );
  /** A token that is good is an agent's, who is refused in other words than nobody. */
  const isValid = async (apiKey = "") => {
    const client = fleet.rotation.clients(bearerCredentials(sensitive(apiKey))).identity;
    const error: unknown = await client.getIdentity({}).catch((it: unknown) => it);
    return (error as { code: string }).code === "PERMISSION_DENIED";
  };

  it("is told which are due, at once when it begins and later after each", async () => {
    const { agentId } = await start();
    expect((await due()).get(agentId)).toBe(0n);
    await daemon.rotateForAgent({ agentId });
    const seconds = Number((await due()).get(agentId));
    expect(seconds).toBeGreaterThan(86_000);
    expect(seconds).toBeLessThanOrEqual(86_400);
  });

  it("gives the new pair to the agent, in a new generation, and the old one lasts until it is used", async () => {
    const { agentId, runningId, apiKey } = await start();
    await isValid(apiKey);
    const before = vm.desired.get(runningId)?.generation ?? 0n;
    const { generation } = await daemon.rotateForAgent({ agentId });
    expect(generation).toBeGreaterThan(before);
    await eventually(() => {
      expect(vm.desired.get(runningId)?.generation).toBe(generation);
    });
    const [secrets] = secretsOf(runningId);
    const { AGENT_API_KEY: next, AGENT_ROTATION_SECRET: secret } = secrets ?? {};
    expect(await isValid(apiKey)).toBe(true);
    expect(await isValid(next)).toBe(true);
    expect(await isValid(apiKey)).toBe(false);
    const own = { apiKey: next ?? "", rotationSecret: secret ?? "", confirm: "", requestId: "" };
    await fleet.rotation.clients().selfRotation.rotateSelf(own);
  });

  it("rotates by the names that were wished, for the path that was wished", async () => {
    const path = `other-${randomUUID().slice(0, 8)}`;
    const running = await fleet.spawn(path, { vm: "vm-1" });
    const names = { apiKeyName: "MY_KEY", rotationSecretName: "MY_SECRET" };
    const { agentId } = await start({ path, ...names });
    await daemon.rotateForAgent({ agentId });
    expect(Object.keys(secretsOf(running.agentId)[0] ?? {})).toEqual(["MY_KEY", "MY_SECRET"]);
  });

  it("when the catalog is away, leaves the old pair as it is and tries again, to the limit", async () => {
    const { agentId, runningId, apiKey } = await start();
    await isValid(apiKey);
    fleet.catalog.beforeAgentSecrets = () => Promise.reject(unavailable("the catalog is away"));
    const first = daemon.rotateForAgent({ agentId });
    await expect(first).rejects.toMatchObject({ code: "UNAVAILABLE" });
    // Another that comes meanwhile does not begin.
    expect((await due()).get(agentId)).toBeGreaterThan(0n);
    fleet.catalog.beforeAgentSecrets = () => Promise.resolve();
    expect(await isValid(apiKey)).toBe(true);
    const which = { $case: "agentId" as const, value: agentId };
    const shown = await fleet.owner.selfRotation.getRegisteredAgent({ which });
    expect(shown.agent?.oldPairUntil).toBeUndefined();
    await makeDue(agentId);
    await daemon.rotateForAgent({ agentId });
    expect(secretsOf(runningId)).toHaveLength(1);
    expect(await isValid(secretsOf(runningId)[0]?.["AGENT_API_KEY"])).toBe(true);
    await makeDue(agentId);
    await daemon.rotateForAgent({ agentId });
    await makeDue(agentId);
    await expect(daemon.rotateForAgent({ agentId })).rejects.toMatchObject({
      ...{ code: "RESOURCE_EXHAUSTED", retryAfterMs: expect.any(Number) as number },
    });
    await eventually(async () => {
      const { rows } = await fleet.rotation.pool.query(
        `select actor_kind, detail from rotation.audit
         where action = 'agent.rotate-for' and object_id = $1 and outcome = 'refused'`,
        [agentId],
      );
      const detail = { limit: "rotation-for-agent", count: 1 };
      expect(rows).toMatchObject([{ actor_kind: "vm", detail }]);
    });
  });

  it("is not done for one whose token somebody ended: it does not come back", async () => {
    const { agentId, runningId, apiKey } = await start();
    const { rows } = await fleet.rotation.pool.query<{ id: string }>(
      "select credential_id as id from rotation.credentials where registered_agent_id = $1",
      [agentId],
    );
    const credentialId = rows[0]?.id ?? "";
    await fleet.owner.credentials.revokeCredential({ credentialId, at: undefined });
    expect((await due()).has(agentId)).toBe(false);
    await expect(daemon.rotateForAgent({ agentId })).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect([await isValid(apiKey), secretsOf(runningId)]).toEqual([false, []]);
  });

  it("is one rotation, however often it is asked for at once", async () => {
    const { agentId, runningId } = await start();
    await Promise.all([1, 2, 3].map(() => daemon.rotateForAgent({ agentId })));
    expect(secretsOf(runningId)).toHaveLength(1);
  });

  it("keeps every pair that may be on its way: the agent may use any of the last ones", async () => {
    const { agentId, runningId } = await start();
    await daemon.rotateForAgent({ agentId });
    await makeDue(agentId);
    await daemon.rotateForAgent({ agentId });
    const [one, two] = secretsOf(runningId).map((it) => it["AGENT_API_KEY"]);
    expect(await isValid(one)).toBe(true);
    expect(await isValid(two)).toBe(true);
    expect(await isValid(one)).toBe(false);
  });

  it("does it for no agent of another machine, another developer, or one that is over", async () => {
    const { agentId } = await start();
    const other = fleet.rotation.clients(fleet.machine("vm-2").credentials).selfRotation;
    expect((await other.listDueRotations({})).rotations).toEqual([]);
    await expect(other.rotateForAgent({ agentId })).rejects.toMatchObject(NOT_REGISTERED);
    const bob = fleet.developer("github/bob").selfRotation;
    const { invitation } = await bob.inviteAgent({});
    const anyone = fleet.rotation.clients().selfRotation;
    const theirs = await anyone.registerAgent({ invitation, name: "", requestId: "" });
    const running = await fleet.spawn(`of-alice-${randomUUID().slice(0, 8)}`, { vm: "vm-1" });
    const foreign = theirs.agent?.agentId ?? "";
    const autoRotation = auto({ path: running.path });
    await bob.setAutoRotation({ agentId: foreign, autoRotation });
    expect((await due()).has(foreign)).toBe(false);
    await expect(daemon.rotateForAgent({ agentId: foreign })).rejects.toMatchObject(NOT_REGISTERED);
    await fleet.owner.selfRotation.revokeAgent({ agentId });
    expect((await due()).has(agentId)).toBe(false);
    await expect(daemon.rotateForAgent({ agentId })).rejects.toMatchObject(NOT_REGISTERED);
  });

  it("ends when it is turned off, and is refused with what is wrong", async () => {
    const { agentId } = await start();
    const { selfRotation } = fleet.owner;
    const shown = await selfRotation.setAutoRotation({ agentId, autoRotation: undefined });
    expect(shown.agent?.autoRotation).toBeUndefined();
    expect((await due()).has(agentId)).toBe(false);
    const wrong = auto({ every: { seconds: 899n, nanos: 0 }, workspace: "", path: "A" });
    const autoRotation = { ...wrong, apiKeyName: "MURMUR_X", rotationSecretName: "x" };
    await expect(selfRotation.setAutoRotation({ agentId, autoRotation })).rejects.toMatchObject({
      violations: ["every", "workspace", "path", "api_key_name", "rotation_secret_name"].map(
        (name) => ({ field: `auto_rotation.${name}` }),
      ),
    });
  });
});
