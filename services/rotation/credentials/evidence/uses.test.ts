import { EvidenceState, LaggardReason } from "../../../../gen/murmur/rotation/v1/evidence";
import { eventually } from "../../../../test/harness/eventually";
import { type EvidenceRig, startEvidenceRig } from "../../../../test/harness/evidence";

let rig: EvidenceRig;
beforeAll(async () => {
  rig = await startEvidenceRig({ quietMs: 60_000 });
});
afterAll(() => rig.stop());

const awaitEvidence = (id: string, state: EvidenceState, reasons: readonly LaggardReason[]) =>
  eventually(async () => {
    const evidence = await rig.evidenceOf(id);
    expect([evidence.state, evidence.laggards.map(({ reason }) => reason)]).toEqual([
      ...[state, reasons],
    ]);
  });
const { EVIDENCE_STATE_GATHERING: GATHERING, EVIDENCE_STATE_ENDED_ON_EVIDENCE: ENDED } =
  EvidenceState;
const USED = [LaggardReason.LAGGARD_REASON_USED];

it("an old value that a service was shown within the quiet time is not ended", async () => {
  const key = await rig.carried();
  expect(await rig.isValid(key.value)).toBe(true);
  await rig.rotate(key.id, { secretName: key.secretName });
  expect(await rig.isValid(key.value)).toBe(true);
  await awaitEvidence(key.id, GATHERING, USED);
  await rig.pass(key.id, 50);
  await awaitEvidence(key.id, GATHERING, USED);
  expect(await rig.isValid(key.value)).toBe(true);
  // What was used is written with the next look.
  await eventually(async () => {
    const { rows } = await rig.rotation.pool.query<{ is_new: boolean }>(
      `select last_used_at > clock_timestamp() - interval '30 seconds' as is_new
       from rotation.credentials where credential_id = $1`,
      [key.id],
    );
    expect(rows).toEqual([{ is_new: true }]);
  });
  await rig.pass(key.id, 61);
  await awaitEvidence(key.id, ENDED, []);
  await rig.ended(key.value);
});

it("nor by when its last use was written, where later ones may not have been", async () => {
  const key = await rig.carried();
  // Used again 29 s later, which is not written; then it is replaced.
  await rig.rotation.pool.query(
    "update rotation.credentials set last_used_at = clock_timestamp() - interval '29 seconds' where credential_id = $1",
    [key.id],
  );
  await rig.rotate(key.id, { secretName: key.secretName });
  await rig.pass(key.id, 50);
  await awaitEvidence(key.id, GATHERING, USED);
  await rig.pass(key.id, 11);
  await awaitEvidence(key.id, ENDED, []);
});

it("nor while a replica that may answer has not said up to when its uses are known", async () => {
  const key = await rig.carried();
  const report = (knownSeconds: number, reportedSeconds: number) =>
    rig.rotation.pool.query(
      `insert into rotation.credential_use_reports values ('other',
         clock_timestamp() - $1 * interval '1 second', clock_timestamp() - $2 * interval '1 second')
       on conflict (replica_id) do update
       set known_at = excluded.known_at, reported_at = excluded.reported_at`,
      [knownSeconds, reportedSeconds],
    );
  await rig.rotation.pool.query(
    "update rotation.credentials set last_used_at = clock_timestamp() - interval '100 seconds' where credential_id = $1",
    [key.id],
  );
  await report(40, 40);
  await rig.rotate(key.id, { secretName: key.secretName });
  await awaitEvidence(key.id, GATHERING, USED);
  // It is not heard of any more: whatever it answered was before the quiet time.
  await report(95, 95);
  await awaitEvidence(key.id, ENDED, []);
});
