import type { AwaitCredentialChangesResponse } from "../../../../gen/murmur/rotation/v1/credentials";
import { Role } from "../../../../gen/murmur/rotation/v1/identity";
import { ErrorReason } from "../../../../gen/murmur/errors/v1/error_reason";
import { isAppError } from "../../../../lib/errors";
import { serviceCredentials } from "../../../../lib/identity/credentials";
import { type CredentialIssuer, startCredentialIssuer } from "../../../../test/harness/credentials";
import { startRotation, type TestRotation } from "../../../../test/harness/rotation";
import { readPosition } from "./position";

const NOBODY = { forgetAll: false, credentialIds: [], people: [] };

describe("a service that remembers answers", () => {
  let issuer: CredentialIssuer;
  let alice: ReturnType<CredentialIssuer["developer"]>;
  let other: TestRotation;

  beforeAll(async () => {
    issuer = await startCredentialIssuer();
    other = await startRotation({ catalog: issuer.catalog, beside: issuer.rotation });
    alice = issuer.developer("github/alice");
  });
  afterAll(async () => {
    await other.stop();
    await issuer.stop();
  });

  const next = async (
    after: string,
    { tenantId = "t1", at = issuer.rotation } = {},
  ): Promise<AwaitCredentialChangesResponse> => {
    const who = { service: "verifier", audience: "rotation", tenantId };
    const credentials = serviceCredentials({ key: issuer.catalog.rotationKey, ...who });
    try {
      return await at.clients(credentials).credentials.awaitCredentialChanges({ after });
    } catch (error) {
      // A machine that is busy enough does not look in time: it is asked again, as the library does.
      if (isAppError(error, "UNAVAILABLE")) return next(after, { tenantId, at });
      throw error;
    }
  };
  const now = async () => (await next("")).position;
  /** What is told from a position on, until something is named. */
  const firstAfter = async (position: string, how = {}) => {
    for (;;) {
      const told: AwaitCredentialChangesResponse = await next(position, how);
      if (told.forgetAll || told.credentialIds.length + told.people.length > 0) return told;
      position = told.position;
    }
  };
  const create = async () => (await issuer.create(alice)).credential.credentialId;
  const revoke = (credentialId: string) => alice.revokeCredential({ credentialId, at: undefined });

  it("is told at first that everything may have changed", async () => {
    expect(await next("")).toMatchObject({ ...NOBODY, forgetAll: true });
  });

  it("is told which credential has changed, once, and waits when none has", async () => {
    const credentialId = await create();
    const waiting = firstAfter(await now());
    await revoke(credentialId);
    const told = await waiting;
    expect(told).toMatchObject({ ...NOBODY, credentialIds: [credentialId] });
    const later = await next(told.position);
    expect(later).toMatchObject(NOBODY);
    expect(await next(later.position)).toMatchObject(NOBODY);
  });

  it("goes on at any replica where another has told it to", async () => {
    const credentialId = await create();
    const position = await now();
    await revoke(credentialId);
    const there = await firstAfter(position, { at: other });
    expect(there).toMatchObject({ ...NOBODY, credentialIds: [credentialId] });
    expect(await next(there.position)).toMatchObject(NOBODY);
  });

  it("is told of a person whose role has changed, and of what they may do", async () => {
    const mine = (await issuer.create(issuer.developer("github/eve", "admin"))).credential;
    const position = await now();
    const { people } = issuer.rotation.clients(
      issuer.catalog.developer({ tenantId: "t1", role: "owner", id: "github/olga" }),
    );
    await people.setPersonRole({ developer: "github/eve", role: Role.ROLE_MEMBER });
    expect(await firstAfter(position)).toMatchObject({
      forgetAll: false,
      credentialIds: [mine.credentialId],
      people: [{ tenantId: "t1", developer: "github/eve" }],
    });
  });

  it("is told nothing of another tenant", async () => {
    const credentialId = await create();
    const position = await now();
    await revoke(credentialId);
    expect(await next(position, { tenantId: "t2" })).toMatchObject(NOBODY);
  });

  it("misses none whose transaction took long, and hears none twice while one does", async () => {
    const [slow, quick] = [await create(), await create()];
    const client = await issuer.rotation.pool.connect();
    try {
      await client.query("begin");
      await client.query(
        "update rotation.credentials set revoked_at = clock_timestamp() where credential_id = $1",
        [slow],
      );
      const position = await now();
      await revoke(quick);
      const told = await firstAfter(position);
      expect(told).toMatchObject({ ...NOBODY, credentialIds: [quick] });
      const later = await next(told.position);
      expect(later).toMatchObject(NOBODY);
      await client.query("commit");
      expect(await firstAfter(later.position)).toMatchObject({ ...NOBODY, credentialIds: [slow] });
    } finally {
      client.release();
    }
  });

  it("is to forget everything when the database is an older one", async () => {
    const { to } = readPosition(await now())!;
    const ahead = to + 1_000_000n;
    expect(await next(`${ahead}:${ahead}:`)).toMatchObject({ ...NOBODY, forgetAll: true });
  });

  it.each(["x", "1:0:", "5:9:3", "0:0:", "1:9:5,4", "9223372036854775808:9223372036854775808:"])(
    "is told that %s is no position",
    async (after) => {
      await expect(next(after)).rejects.toMatchObject({
        code: "INVALID_ARGUMENT",
        reason: ErrorReason.ERROR_REASON_INVALID_FIELD,
        metadata: { field: "after" },
      });
    },
  );

  it("is understood by PostgreSQL whatever is taken for a position", async () => {
    const most = 2n ** 63n - 1n;
    for (const it of ["1:1:", `${most}:${most}:`, "1:9:1,1,8", `1:${most}:${most - 1n}`]) {
      expect(readPosition(it)).toBeDefined();
      await issuer.rotation.pool.query("select $1::pg_snapshot", [it]);
    }
  });
});
