import { unavailable } from "../../../../lib/errors";
import type { Connection, Pool } from "../../../../lib/postgres/db";
import { CredentialState } from "../../../../gen/murmur/rotation/v1/credentials";
import { EvidenceState } from "../../../../gen/murmur/rotation/v1/evidence";
import { eventually } from "../../../../test/harness/eventually";
import { type EvidenceRig, startEvidenceRig } from "../../../../test/harness/evidence";
import { startRotation, type TestRotation } from "../../../../test/harness/rotation";
import { startTcpProxy, type TcpProxy } from "../../../../test/harness/tcp-proxy";

/** When the replica dies: statements that it may still make. */
let left = Infinity;
let made = 0;
let rig: EvidenceRig;
let dying: TestRotation;
let proxy: TcpProxy;

beforeAll(async () => {
  rig = await startEvidenceRig();
  const [host = "", port] = rig.catalog.address.split(":");
  proxy = await startTcpProxy({ host, port: Number(port) });
  const address = `127.0.0.1:${proxy.port}`;
  const wrapPool = (pool: Pool) => mortal(pool);
  dying = await startRotation({
    ...{ catalog: { ...rig.catalog, address }, beside: rig.rotation, wrapPool, quietMs: 0 },
  });
  // It serves, and does nothing by itself.
  dying.interrupt();
});
afterAll(async () => {
  left = Infinity;
  proxy.heal();
  await dying.stop();
  await proxy.close();
  await rig.stop();
});

/** Nothing that a dead process would do reaches the database, or the catalog. */
function mortal(pool: Pool): Pool {
  const step = () => {
    made += 1;
    left -= 1;
    if (left >= 0) return;
    proxy.cut();
    throw unavailable("the replica is dead");
  };
  const connect = async (): Promise<Connection> => {
    const connection = await pool.connect();
    return {
      query: async (...args: Parameters<Connection["query"]>) => {
        step();
        return connection.query(...args);
      },
      release: () => {
        connection.release(true);
      },
    };
  };
  return {
    connect,
    query: async (...args: Parameters<Pool["query"]>) => {
      step();
      return pool.query(...args);
    },
    close: () => pool.close(),
  };
}

const rotateBy = (rotation: TestRotation, credentialId: string, secretName: string) =>
  rotation.clients(rig.catalog.developer({ tenantId: "t1" })).credentials.rotateCredential({
    ...{ credentialId, graceSeconds: 900, requestId: "", revokeWhenApplied: true, secretName },
  });

it("a replica that dies before any statement of a rotation leaves the old one, or another ends it", async () => {
  const counted = await rig.carried();
  made = 0;
  await rotateBy(dying, counted.id, counted.secretName);
  const statements = made;
  expect(statements).toBeGreaterThan(15);
  let wentOn = 0;
  for (let step = 0; step < statements; step++) {
    const key = await rig.carried();
    left = step;
    await rotateBy(dying, key.id, key.secretName).catch(() => undefined);
    left = Infinity;
    proxy.heal();
    // Others take over when its hold is over.
    await rig.rotation.pool.query("update rotation.evidence_cases set look_after = '-infinity'");
    // The one that died is not to be waited for until it is known to be gone.
    await rig.rotation.pool.query("delete from rotation.credential_use_reports");
    const { credential } = await rig.alice.credentials.getCredential({ credentialId: key.id });
    if (!credential?.evidence) {
      expect(credential).toMatchObject({ state: CredentialState.CREDENTIAL_STATE_ACTIVE });
      expect(await rig.isValid(key.value)).toBe(true);
      await rig.rotate(key.id, { secretName: key.secretName });
    } else wentOn += 1;
    await eventually(async () => {
      expect(await rig.evidenceOf(key.id)).toMatchObject({
        ...{ state: EvidenceState.EVIDENCE_STATE_ENDED_ON_EVIDENCE, secretVersion: 2n },
      });
    });
    const { secret } = await rig.secrets.getSecret({ name: key.secretName });
    expect(secret?.version).toBe(2n);
    const after = await rig.alice.credentials.getCredential({ credentialId: key.id });
    const successorId = after.credential?.replacedBy ?? "";
    const successor = await rig.alice.credentials.getCredential({ credentialId: successorId });
    expect(successor.credential?.state).toBe(CredentialState.CREDENTIAL_STATE_ACTIVE);
  }
  expect(wentOn).toBeGreaterThan(2);
}, 240_000);
