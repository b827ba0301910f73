import { randomUUID } from "node:crypto";
import { ReloadOutcome } from "../../../../gen/murmur/rotation/v1/agents";
import { CredentialState } from "../../../../gen/murmur/rotation/v1/credentials";
import { ErrorReason } from "../../../../gen/murmur/errors/v1/error_reason";
import { EvidenceState, LaggardReason } from "../../../../gen/murmur/rotation/v1/evidence";
import { createLog } from "../../../../lib/log";
import { API_KEY, toShown } from "../../../../test/harness/credentials";
import { eventually } from "../../../../test/harness/eventually";
import {
  type Carried,
  type EvidenceRig,
  report,
  startEvidenceRig,
  type TestMachine,
} from "../../../../test/harness/evidence";

const {
  EVIDENCE_STATE_ENDED_ON_EVIDENCE: ENDED,
  EVIDENCE_STATE_ENDED_BY_DEADLINE: BY_DEADLINE,
  EVIDENCE_STATE_GATHERING: GATHERING,
  EVIDENCE_STATE_REVOKED: REVOKED,
} = EvidenceState;
const {
  LAGGARD_REASON_FILES: FILES,
  LAGGARD_REASON_PROCESS: PROCESS,
  LAGGARD_REASON_CANNOT_BE_TOLD: CANNOT_BE_TOLD,
  LAGGARD_REASON_NOT_REPORTED: NOT_REPORTED,
} = LaggardReason;

let rig: EvidenceRig;
let vm: TestMachine;
const alarms: Record<string, unknown>[] = [];
beforeAll(async () => {
  const write = (line: string) => alarms.push(JSON.parse(line) as Record<string, unknown>);
  rig = await startEvidenceRig({ log: createLog("rotation", "error", { write }) });
  vm = await rig.connect();
});
afterAll(async () => {
  vm.close();
  await rig.stop();
});

const reasons = async (id: string) => (await rig.evidenceOf(id)).laggards.map((it) => it.reason);
const awaitReasons = (id: string, expected: LaggardReason[]) =>
  eventually(async () => {
    expect(await reasons(id)).toEqual(expected);
  });
/** What holds it back shows when it does not come. */
const expectState = async (id: string, state: EvidenceState) => {
  const { laggards, problem, ...evidence } = await rig.evidenceOf(id);
  const held = state === ENDED ? laggards : [];
  expect({ state: evidence.state, held, problem }).toEqual({ state, held: [], problem: "" });
};
const awaitState = (id: string, state: EvidenceState) => eventually(() => expectState(id, state));
/** An agent with a key, whose rotation has begun, and which was told of its next generation. */
const begin = async (carried?: Carried) => {
  const key = carried ?? (await rig.carried());
  const agent = await rig.spawn(vm);
  const before = vm.desired.get(agent)?.generation ?? 0n;
  const rotated = await rig.rotate(key.id, { secretName: key.secretName });
  const after = await rig.told(vm, agent, before);
  return { key, agent, before, after, rotated };
};
/** Its VM stands on it, and says what runs there. */
const apply = async (
  machine: TestMachine,
  agentId: string,
  generations: readonly bigint[] = [],
  change?: Parameters<typeof report>[3],
) => {
  const generation = machine.desired.get(agentId)?.generation;
  machine.ack(agentId);
  await eventually(async () => {
    const { rows } = await rig.rotation.pool.query<{ applied: bigint }>(
      "select applied from rotation.agents where agent_id = $1",
      [agentId],
    );
    expect(rows[0]?.applied).toBe(generation);
  });
  report(machine, agentId, generations, change);
};

describe("revoke on evidence", () => {
  it("lets the catalog forget what was staged when its answer is written down", async () => {
    const key = await rig.carried();
    await rig.rotate(key.id, { secretName: key.secretName });
    await eventually(async () => {
      const { rowCount } = await rig.catalog.database.pool.query(
        `select from catalog.staged_credentials where secret_name = $1 and done_at is not null`,
        [key.secretName],
      );
      expect(rowCount).toBe(1);
    });
  });

  it("ends the old value when files and processes are on the new one, and not before", async () => {
    const { key, agent, before, after, rotated } = await begin();
    expect(rotated.replaced.evidence?.state).toBe(GATHERING);
    await awaitReasons(key.id, [FILES]);
    vm.ack(agent);
    await awaitReasons(key.id, [NOT_REPORTED]);
    report(vm, agent, [before, 0n, after]);
    await awaitReasons(key.id, [PROCESS, CANNOT_BE_TOLD]);
    expect(await rig.isValid(key.value)).toBe(true);
    report(vm, agent, [after, after]);
    await awaitState(key.id, ENDED);
    await rig.ended(key.value);
    expect(await rig.isValid(rotated.value)).toBe(true);
    const { credential } = await rig.alice.credentials.getCredential({ credentialId: key.id });
    expect(credential).toMatchObject({
      state: CredentialState.CREDENTIAL_STATE_REVOKED,
      evidence: { laggards: [], secretName: key.secretName, secretVersion: 2n },
    });
  });

  it("is remembered: the next rotation needs no secret, and both may be under way", async () => {
    const { key, agent, rotated } = await begin();
    const next = await rig.rotate(rotated.credential.credentialId);
    expect(next.credential.secretName).toBe(key.secretName);
    await rig.told(vm, agent, vm.applied.get(agent)?.generation ?? 0n);
    await eventually(async () => {
      await apply(vm, agent);
      await expectState(key.id, ENDED);
      await expectState(rotated.credential.credentialId, ENDED);
    });
    expect(await rig.isValid(next.value)).toBe(true);
  });

  it("has nothing against agents that were spawned since, whatever cannot be told of them", async () => {
    const other = await rig.connect();
    const { key, agent, after } = await begin();
    const elsewhere = await rig.spawn(other, { workspace: "frontend" });
    await apply(vm, agent, [after]);
    report(other, elsewhere, [0n]);
    await awaitState(key.id, ENDED);
    other.close();
  });

  it("waits for an agent of another workspace whose VM is away, and goes on when it is back", async () => {
    const other = await rig.connect();
    const carried = await rig.carried();
    const away = await rig.spawn(other, { workspace: "frontend", slug: "away" });
    other.close();
    await other.ended;
    const { key, agent, after } = await begin(carried);
    await apply(vm, agent, [after]);
    await eventually(async () => {
      const { laggards, laggardCount } = await rig.evidenceOf(key.id);
      expect(laggardCount).toBe(1);
      expect(laggards[0]).toMatchObject({
        ...{ reason: FILES, workspace: "frontend", path: "away", agentId: away },
        vm: other.machine.name,
      });
    });
    expect(await rig.isValid(key.value)).toBe(true);
    const back = await rig.connect(other);
    await rig.told(back, away, 1n);
    await apply(back, away, []);
    await awaitState(key.id, ENDED);
    back.close();
  });

  it("does not wait for agents of a VM that was removed", async () => {
    const other = await rig.connect();
    const carried = await rig.carried();
    await rig.spawn(other);
    const { key, agent, after } = await begin(carried);
    await apply(vm, agent, [after]);
    await awaitReasons(key.id, [FILES]);
    const { vms } = rig.catalog.clients(rig.catalog.developer({ tenantId: "t1" }));
    await vms.removeVm({ name: other.machine.name });
    await awaitState(key.id, ENDED);
    other.close();
  });

  it("believes a hook or signal that succeeded on the new value, for all processes of its agent", async () => {
    const { key, agent, before, after } = await begin();
    const reload = (generation: bigint, outcome: ReloadOutcome) => ({
      reload: { generation, outcome, reason: "", at: undefined },
    });
    const { RELOAD_OUTCOME_FAILED: FAILED, RELOAD_OUTCOME_DONE: DONE } = ReloadOutcome;
    await apply(vm, agent, [before, 0n], reload(after, FAILED));
    await awaitReasons(key.id, [PROCESS, CANNOT_BE_TOLD]);
    report(vm, agent, [before, 0n], reload(after, DONE));
    await awaitState(key.id, ENDED);
  });

  it("lets who was taken back keep the old value until the deadline, and brings it back to nobody after", async () => {
    const { key, agent, after } = await begin();
    vm.ack(agent);
    await awaitReasons(key.id, [NOT_REPORTED]);
    const { rolloutId } = await rig.evidenceOf(key.id);
    await rig.alice.rollouts.rollbackRollout({ rolloutId, requestId: randomUUID(), reason: "" });
    const taken = await rig.told(vm, agent, after);
    await apply(vm, agent, [taken]);
    await awaitReasons(key.id, [FILES, PROCESS]);
    expect(await rig.isValid(key.value)).toBe(true);
    await rig.pass(key.id, 900);
    await awaitState(key.id, BY_DEADLINE);
    await rig.ended(key.value);
    expect(vm.desired.get(agent)?.generation).toBe(taken);
    await eventually(async () => {
      const { rowCount } = await rig.catalog.database.pool.query(
        "select from catalog.secret_versions where name = $1 and retired_at is not null",
        [key.secretName],
      );
      expect(rowCount).toBe(1);
    });
  });

  it("names the laggards at 50 %, at 90 % and at the deadline, which ends it in any case", async () => {
    const { key, agent } = await begin();
    await awaitReasons(key.id, [FILES]);
    for (const [seconds, percent] of [
      [450, 50],
      [361, 90],
      [90, 100],
    ] as const) {
      await rig.pass(key.id, seconds);
      await eventually(async () => {
        expect((await rig.evidenceOf(key.id)).alarmedPercent).toBe(percent);
      });
    }
    await awaitState(key.id, BY_DEADLINE);
    const { laggards } = await rig.evidenceOf(key.id);
    expect(laggards.map((it) => it.agentId)).toEqual([agent]);
    const own = alarms.filter(({ credentialId }) => credentialId === key.id);
    expect(own.map(({ msg }) => msg)).toEqual([
      "ALARM: 50 % of the grace period is over, and the old credential is still held",
      "ALARM: 90 % of the grace period is over, and the old credential is still held",
      "ALARM: the deadline ended a credential that was still held",
    ]);
    for (const alarm of own)
      expect(String(alarm["laggards"])).toContain(`on ${vm.machine.name}: VM`);
    const { rows } = await rig.rotation.pool.query<{ action: string }>(
      `select action from rotation.audit where object_id = $1 and action <> 'credential.stored'
       and actor_kind = 'service' order by id`,
      [key.id],
    );
    expect(rows.map(({ action }) => action)).toEqual([
      ...["credential.laggards", "credential.laggards", "credential.evidence-over"],
    ]);
  });

  it("is over at once when somebody revokes the old one", async () => {
    const { key, rotated } = await begin();
    await rig.alice.credentials.revokeCredential({ credentialId: key.id, at: undefined });
    await awaitState(key.id, REVOKED);
    expect(await rig.isValid(rotated.value)).toBe(true);
  });

  it("does not end the old one when the new one has ended", async () => {
    const { key, agent, after, rotated } = await begin();
    const { credentialId } = rotated.credential;
    await rig.alice.credentials.revokeCredential({ credentialId, at: undefined });
    await apply(vm, agent, [after]);
    await awaitReasons(key.id, [LaggardReason.LAGGARD_REASON_SUCCESSOR_ENDED]);
    expect(await rig.isValid(key.value)).toBe(true);
  });

  it("gives the same answer to the same request, and begins once", async () => {
    const key = await rig.carried();
    const change = { requestId: randomUUID(), secretName: key.secretName };
    const first = await rig.rotate(key.id, change);
    const again = await rig.rotate(key.id, change);
    expect([again.value, again.credential.credentialId]).toEqual([
      ...[first.value, first.credential.credentialId],
    ]);
    const { secret } = await rig.secrets.getSecret({ name: key.secretName });
    expect(secret?.version).toBe(2n);
  });

  it("of a secret that nobody holds ends the old one at once", async () => {
    const key = await rig.carried();
    await rig.rotate(key.id, { secretName: key.secretName });
    await awaitState(key.id, ENDED);
  });

  describe("is refused", () => {
    let key: Carried;
    beforeAll(async () => {
      key = await rig.carried();
    });
    afterEach(async () => {
      expect(await rig.isValid(key.value)).toBe(true);
      const { credential } = await rig.alice.credentials.getCredential({ credentialId: key.id });
      expect(credential).toMatchObject({
        ...{ state: CredentialState.CREDENTIAL_STATE_ACTIVE, replacedBy: "", evidence: undefined },
      });
    });
    const invalid = (field: string) => ({ code: "INVALID_ARGUMENT", violations: [{ field }] });

    it("without a grace period: it would end before anybody has the new one", async () => {
      const wish = { graceSeconds: 0, secretName: key.secretName };
      await expect(rig.rotate(key.id, wish)).rejects.toMatchObject(invalid("grace_seconds"));
    });

    it("when no secret is named or known, or the name is none", async () => {
      await expect(rig.rotate(key.id)).rejects.toMatchObject(invalid("secret_name"));
      for (const secretName of ["", "not-a-name", "PATH"])
        await expect(rig.rotate(key.id, { secretName })).rejects.toMatchObject(
          invalid("secret_name"),
        );
    });

    it("for a secret with another value, which stays, and for none", async () => {
      await rig.set("OTHER", "of somebody else");
      await expect(rig.rotate(key.id, { secretName: "OTHER" })).rejects.toMatchObject({
        ...{ code: "FAILED_PRECONDITION", reason: ErrorReason.ERROR_REASON_SECRET_CARRIES_ANOTHER },
        message: 'secret "OTHER" does not have the credential as its current value',
      });
      const { secret } = await rig.secrets.getSecret({ name: "OTHER" });
      expect(secret?.version).toBe(1n);
      await expect(rig.rotate(key.id, { secretName: "ABSENT" })).rejects.toMatchObject({
        reason: ErrorReason.ERROR_REASON_SECRET_NOT_FOUND,
      });
    });

    it("to a member, and to a key that may not set the secret", async () => {
      const wish = {
        ...{ credentialId: key.id, graceSeconds: 900, requestId: "" },
        ...{ revokeWhenApplied: true, secretName: key.secretName },
      };
      const bob = rig.clientsOf("member", "github/bob").credentials;
      const own = toShown(await bob.createCredential(API_KEY)).credential.credentialId;
      await expect(bob.rotateCredential({ ...wish, credentialId: own })).rejects.toMatchObject({
        code: "PERMISSION_DENIED",
        message: "revoke_when_applied sets a tenant secret: that needs the role admin",
      });
    });

    it("without revoke_when_applied when it names a secret", async () => {
      const wish = { credentialId: key.id, graceSeconds: 900, requestId: "" };
      const named = { ...wish, secretName: key.secretName };
      await expect(rig.alice.credentials.rotateCredential(named)).rejects.toMatchObject(
        invalid("secret_name"),
      );
    });
  });

  it("leaves the old one as it was when somebody sets the secret meanwhile", async () => {
    const key = await rig.carried();
    const release = await rig.holdSecrets();
    const rotating = rig.rotate(key.id, { secretName: key.secretName });
    rotating.catch(() => undefined);
    await eventually(async () => {
      const { rowCount } = await rig.catalog.database.pool.query(
        "select from catalog.staged_credentials where secret_name = $1",
        [key.secretName],
      );
      expect(rowCount).toBe(1);
    });
    await release(key.secretName);
    await expect(rotating).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
      message: expect.stringContaining("the old one stays") as string,
    });
    const { credential } = await rig.alice.credentials.getCredential({ credentialId: key.id });
    expect(credential?.state).toBe(CredentialState.CREDENTIAL_STATE_ACTIVE);
    expect(credential?.expiresAt).toBeUndefined();
    await rig.set(key.secretName, key.value);
    await rig.rotate(key.id, { secretName: key.secretName });
  });

  it("is not shown to who may not see the credential", async () => {
    const { key } = await begin();
    const bob = rig.clientsOf("member", "github/bob").credentials;
    await expect(bob.getCredential({ credentialId: key.id })).rejects.toMatchObject({
      code: "NOT_FOUND",
    });
  });
});
