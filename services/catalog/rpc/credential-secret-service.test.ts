import { createHash, randomUUID } from "node:crypto";
import { cleanUpOnce } from "../environments/clean-up";
import { createPostgresExpiryStore } from "../store/postgres-expiry-store";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { createCredentialValue } from "../../../lib/identity/credential-value";
import { type CatalogClients, startCatalog, type TestCatalog } from "../../../test/harness/catalog";
import { type CatalogTenant, createCatalogTenant } from "../../../test/harness/catalog-tenant";

let catalog: TestCatalog;
let acme: CatalogTenant;
let service: CatalogClients["credentialSecrets"];
beforeAll(async () => {
  catalog = await startCatalog();
  acme = await createCatalogTenant(catalog);
  service = catalog.clients(catalog.rotation(acme.id)).credentialSecrets;
});
afterAll(() => catalog.stop());

const sha256 = (text: string) => createHash("sha256").update(text).digest();
const newValue = () => createCredentialValue("api-key").text.expose();
const stage = (secretName: string, old: string, value: string, stagedId: string = randomUUID()) =>
  service
    .stageCredential({
      ...{ stagedId, secretName, plaintextValue: Buffer.from(value), developer: "github/alice" },
      ...{ replacesSha256: old === "" ? Buffer.alloc(0) : sha256(old), apiKeyId: "" },
    })
    .then(() => stagedId);
const store = (stagedId: string) => service.storeStagedCredential({ stagedId });
const holders = (secretName: string, old: string, retired?: boolean) =>
  service.findCredentialHolders({
    ...{ secretName, fromVersion: 1n, belowVersion: 2n, credentialSha256: sha256(old) },
    ...(retired !== undefined && { retired }),
  });

describe("a credential that a secret carries", () => {
  it("gets its successor as the next version, once, by its developer", async () => {
    const [old, next] = [newValue(), newValue()];
    await acme.set("ONE", old);
    const stagedId = await stage("ONE", old, next);
    const agent = acme.agent();
    await acme.snapshot(agent);
    expect(await acme.values(agent, 1n)).toMatchObject({ ONE: old });
    expect(await store(stagedId)).toEqual({ version: 2n });
    expect(await store(stagedId)).toEqual({ version: 2n });
    await acme.snapshot(agent);
    expect(await acme.values(agent, 2n)).toMatchObject({ ONE: next });
    const { secret } = await acme.owner.secrets.getSecret({ name: "ONE" });
    expect(secret).toMatchObject({ version: 2n, updatedBy: "github/alice" });
    expect(await service.discardStagedCredential({ stagedId, isSettled: false })).toEqual({
      storedVersion: 2n,
    });
  });

  it("is known to be stored for as long as rotation may ask, however long it was away", async () => {
    const old = newValue();
    await acme.set("LATE", old);
    const stagedId = await stage("LATE", old, newValue());
    await store(stagedId);
    const { pool } = catalog.database;
    const later = async (days: number) => {
      await pool.query(
        `update catalog.staged_credentials set staged_at = staged_at - $2 * interval '1 day',
           done_at = done_at - $2 * interval '1 day' where tenant_id = $1`,
        [acme.id, days],
      );
      await cleanUpOnce(createPostgresExpiryStore(pool));
    };
    await later(100);
    expect(await store(stagedId)).toEqual({ version: 2n });
    const discard = (isSettled: boolean) =>
      service.discardStagedCredential({ stagedId, isSettled });
    expect(await discard(false)).toEqual({ storedVersion: 2n });
    await later(100);
    expect(await discard(true)).toEqual({ storedVersion: 2n });
    await later(7);
    expect(await store(stagedId)).toEqual({ version: 2n });
    await later(2);
    expect(await discard(false)).toEqual({ storedVersion: 0n });
  });

  it("is what has to be in the secret; any other value stays", async () => {
    const old = newValue();
    await acme.set("TWO", "a password");
    await expect(stage("TWO", old, newValue())).rejects.toMatchObject({
      reason: ErrorReason.ERROR_REASON_SECRET_CARRIES_ANOTHER,
    });
    await expect(stage("NONE", old, newValue())).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(stage("TWO", old, "a password")).rejects.toMatchObject({
      violations: [{ field: "plaintext_value" }],
    });
  });

  it("is not stored over what somebody set since, nor when it was discarded", async () => {
    const old = newValue();
    await acme.set("THREE", old);
    const stagedId = await stage("THREE", old, newValue());
    await acme.set("THREE", "another");
    await expect(store(stagedId)).rejects.toMatchObject({
      reason: ErrorReason.ERROR_REASON_SECRET_VERSION_CONFLICT,
    });
    expect(await service.discardStagedCredential({ stagedId, isSettled: false })).toEqual({
      storedVersion: 0n,
    });
    await expect(store(stagedId)).rejects.toMatchObject({
      reason: ErrorReason.ERROR_REASON_STAGED_CREDENTIAL_NOT_FOUND,
    });
  });

  it("shows who has it, also where it was set again, and does not come back when it is retired", async () => {
    const old = newValue();
    await acme.set("FOUR", old);
    const agent = acme.agent();
    await acme.snapshot(agent);
    await store(await stage("FOUR", old, newValue()));
    await acme.snapshot(agent);
    const { agentId } = agent;
    expect(await holders("FOUR", old)).toMatchObject({
      holders: [{ agentId, generations: [1n] }],
      hadAgentIds: expect.arrayContaining([agentId]) as string[],
    });
    await acme.snapshot({ ...agent, rollbackToGeneration: 1n });
    expect((await holders("FOUR", old)).holders[0]?.generations).toEqual([1n, 3n]);
    await holders("FOUR", old, true);
    const back = await acme.snapshot({ ...agent, rollbackToGeneration: 1n });
    expect(back.snapshots[0]?.notRolledBackNames).toEqual(["FOUR"]);
    await holders("FOUR", old, false);
    const again = await acme.snapshot({ ...agent, rollbackToGeneration: 1n });
    expect(again.snapshots[0]?.notRolledBackNames).toEqual([]);
    await acme.set("FOUR", old);
    await acme.snapshot(agent);
    expect((await holders("FOUR", old)).holders[0]?.generations).toEqual([1n, 3n, 5n, 6n]);
  });

  it("is not another tenant's", async () => {
    const old = newValue();
    await acme.set("FIVE", old);
    const stagedId = await stage("FIVE", old, newValue());
    const globex = catalog.clients(catalog.rotation(randomUUID())).credentialSecrets;
    await expect(globex.storeStagedCredential({ stagedId })).rejects.toMatchObject({
      code: "NOT_FOUND",
    });
    expect(await globex.discardStagedCredential({ stagedId, isSettled: false })).toEqual({
      storedVersion: 0n,
    });
    expect(await store(stagedId)).toEqual({ version: 2n });
  });
});
