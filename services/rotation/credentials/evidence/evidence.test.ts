import { EvidenceState, LaggardReason } from "../../../../gen/murmur/rotation/v1/evidence";
import { eventually } from "../../../../test/harness/eventually";
import {
  type EvidenceRig,
  report,
  startEvidenceRig,
  type TestMachine,
} from "../../../../test/harness/evidence";

let rig: EvidenceRig;
let vm: TestMachine;
beforeAll(async () => {
  rig = await startEvidenceRig();
  vm = await rig.connect();
});
afterAll(async () => {
  vm.close();
  await rig.stop();
});

const reasons = async (id: string) => (await rig.evidenceOf(id)).laggards.map((it) => it.reason);

describe("revoke on evidence", () => {
  it("ends the old value when files and processes are on the new one, and not before", async () => {
    const key = await rig.carried();
    const agent = await rig.spawn(vm);
    const before = vm.desired.get(agent)!.generation;
    const { value, replaced } = await rig.rotate(key.id, { secretName: key.secretName });
    expect(replaced.evidence?.state).toBe(EvidenceState.EVIDENCE_STATE_GATHERING);
    const after = await rig.told(vm, agent, before);
    await eventually(async () => {
      expect(await reasons(key.id)).toEqual([LaggardReason.LAGGARD_REASON_FILES]);
    });
    vm.ack(agent);
    await eventually(async () => {
      expect(await reasons(key.id)).toEqual([LaggardReason.LAGGARD_REASON_NOT_REPORTED]);
    });
    report(vm, agent, [before, 0n, after]);
    await eventually(async () => {
      expect(await reasons(key.id)).toEqual([
        LaggardReason.LAGGARD_REASON_PROCESS,
        LaggardReason.LAGGARD_REASON_CANNOT_BE_TOLD,
      ]);
    });
    expect(await rig.isValid(key.value)).toBe(true);
    report(vm, agent, [after, after]);
    await eventually(async () => {
      const { state } = await rig.evidenceOf(key.id);
      expect(state).toBe(EvidenceState.EVIDENCE_STATE_ENDED_ON_EVIDENCE);
    });
    expect([await rig.isValid(key.value), await rig.isValid(value)]).toEqual([false, true]);
  });
});
