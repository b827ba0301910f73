import { randomUUID } from "node:crypto";
import { inspect } from "node:util";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import {
  CredentialFault,
  CredentialKind,
  CredentialState,
} from "../../../gen/murmur/rotation/v1/credentials";
import { Role } from "../../../gen/murmur/rotation/v1/identity";
import { type CredentialIssuer, startCredentialIssuer } from "../../../test/harness/credentials";
import { allRefused } from "../../../test/harness/refusals";

const { CREDENTIAL_KIND_API_KEY: KEY, CREDENTIAL_KIND_AGENT_TOKEN: TOKEN } = CredentialKind;
const NO_PAGE = { pageSize: 0, pageToken: "" };
const NOT_FOUND = {
  code: "NOT_FOUND",
  reason: ErrorReason.ERROR_REASON_CREDENTIAL_NOT_FOUND,
};

describe("API keys and agent tokens", () => {
  let issuer: CredentialIssuer;
  let alice: ReturnType<CredentialIssuer["developer"]>;

  beforeAll(async () => {
    issuer = await startCredentialIssuer();
    alice = issuer.developer("github/alice");
  });
  afterAll(() => issuer.stop());

  const idsOf = async (by = alice, change = {}) => {
    const request = { kind: CredentialKind.CREDENTIAL_KIND_UNSPECIFIED, includeEnded: false };
    const { credentials } = await by.listCredentials({ ...request, ...NO_PAGE, ...change });
    return credentials.map(({ credentialId }) => credentialId);
  };
  const faultOf = async (value: string, tenantId = "t1") =>
    (await issuer.verifier(tenantId).verifyCredential({ value })).fault;

  it("are shown once, and kept nowhere", async () => {
    const { value, credential } = await issuer.create(alice, { requestId: randomUUID() });
    const { credentialId } = credential;
    const { credential: shown } = await alice.getCredential({ credentialId });
    expect(shown).toEqual(credential);
    expect(JSON.stringify(shown)).not.toContain(value);
    const { rows } = await issuer.rotation.pool.query<{ all: string }>(
      `select string_agg(row::text, '') as all from (
         select c::text as row from rotation.credentials c union all
         select encode(s.sealed, 'escape') from rotation.sealed_answers s union all
         select a::text from rotation.audit a) as rows`,
    );
    const secret = value.slice(credential.prefix.length);
    expect(rows[0]?.all).toContain(credential.prefix);
    expect(rows[0]?.all).not.toContain(secret);
    expect(rows[0]?.all).not.toContain(Buffer.from(secret).toString("hex"));
  });

  it("are verified with what they may do", async () => {
    const expiresAt = new Date(Date.now() + 3_600_000);
    const wish = { kind: KEY, label: "ci", scopes: ["GET /v1/keys"], expiresAt };
    const { value, credential } = await issuer.create(alice, wish);
    expect(await issuer.verifier().verifyCredential({ value })).toEqual({
      ...{ valid: true, fault: CredentialFault.CREDENTIAL_FAULT_UNSPECIFIED, credential },
      ...{ tenantId: "t1", validForMs: expect.any(BigInt) as bigint },
    });
    expect(credential).toMatchObject({
      ...{ ...wish, owner: "github/alice", role: Role.ROLE_MEMBER, agentName: "" },
      ...{ state: CredentialState.CREDENTIAL_STATE_ACTIVE, prefix: value.slice(0, 12) },
    });
  });

  it("of an agent name the agent", async () => {
    const { value } = await issuer.create(alice, { kind: TOKEN, agentName: "my-coder" });
    expect(value).toMatch(/^mur_agt_/);
    expect(await issuer.verifier().verifyCredential({ value })).toMatchObject({
      ...{ valid: true, credential: { kind: TOKEN, agentName: "my-coder" } },
    });
  });

  it("of another tenant, or that never were, are unknown", async () => {
    const { value } = await issuer.create(issuer.developer("github/eve", "owner", "t2"));
    const { CREDENTIAL_FAULT_UNKNOWN: unknown } = CredentialFault;
    expect(await faultOf(value)).toBe(unknown);
    expect(await faultOf(value, "t2")).toBe(CredentialFault.CREDENTIAL_FAULT_UNSPECIFIED);
    expect(await faultOf("mur_key_never-was")).toBe(unknown);
    expect(await faultOf("")).toBe(unknown);
  });

  it("are verified many at a time, in their order", async () => {
    const [one, two] = [await issuer.create(alice), await issuer.create(alice)];
    await alice.revokeCredential({ credentialId: two.credential.credentialId, at: undefined });
    const values = [two.value, `mur_key_${"x".repeat(600)}`, one.value, one.value];
    const { answers } = await issuer.verifier().verifyCredentials({ values });
    expect(answers.map(({ fault }) => fault)).toEqual([
      CredentialFault.CREDENTIAL_FAULT_REVOKED,
      CredentialFault.CREDENTIAL_FAULT_UNKNOWN,
      CredentialFault.CREDENTIAL_FAULT_UNSPECIFIED,
      CredentialFault.CREDENTIAL_FAULT_UNSPECIFIED,
    ]);
    for (const wrong of [[], Array<string>(1001).fill("x")])
      await expect(issuer.verifier().verifyCredentials({ values: wrong })).rejects.toMatchObject({
        code: "INVALID_ARGUMENT",
      });
  });

  it("are verified for services only", async () => {
    await expect(alice.verifyCredential({ value: "x" })).rejects.toMatchObject({
      code: "PERMISSION_DENIED",
    });
  });

  describe("revoked", () => {
    const revoke = (credentialId: string, at?: Date) =>
      alice.revokeCredential({ credentialId, at });

    it("end at once, and stay so", async () => {
      const { value, credential } = await issuer.create(alice);
      const first = await revoke(credential.credentialId);
      expect(await faultOf(value)).toBe(CredentialFault.CREDENTIAL_FAULT_REVOKED);
      expect(await revoke(credential.credentialId)).toEqual(first);
    });

    it("at a later time end then", async () => {
      const { value, credential } = await issuer.create(alice);
      await revoke(credential.credentialId, new Date(Date.now() + 600_000));
      expect(await faultOf(value)).toBe(CredentialFault.CREDENTIAL_FAULT_UNSPECIFIED);
      await issuer.pass(600);
      expect(await faultOf(value)).toBe(CredentialFault.CREDENTIAL_FAULT_EXPIRED);
    });

    it("can be ended earlier within a grace period, and not later", async () => {
      const { value, credential } = await issuer.create(alice);
      const { credentialId } = credential;
      await alice.rotateCredential({ credentialId, graceSeconds: 3600, requestId: "" });
      await expect(revoke(credentialId, new Date(Date.now() + 7_200_000))).rejects.toMatchObject({
        code: "INVALID_ARGUMENT",
        violations: [{ field: "at" }],
      });
      await revoke(credentialId, new Date(Date.now() + 600_000));
      await issuer.pass(600);
      expect(await faultOf(value)).toBe(CredentialFault.CREDENTIAL_FAULT_EXPIRED);
    });
  });

  describe("of others", () => {
    it("are not there for a member, and are for an admin", async () => {
      const { credential } = await issuer.create(alice);
      const { credentialId } = credential;
      const bob = issuer.developer("github/bob");
      const calls = [
        bob.getCredential({ credentialId }),
        bob.rotateCredential({ credentialId, graceSeconds: 0, requestId: "" }),
        bob.revokeCredential({ credentialId, at: undefined }),
        issuer.developer("github/eve", "owner", "t2").getCredential({ credentialId }),
        bob.getCredential({ credentialId: randomUUID() }),
      ];
      await allRefused(calls, NOT_FOUND);
      expect(await idsOf(bob)).toEqual([]);
      const admin = issuer.developer("github/ann", "admin");
      expect(await idsOf(admin)).toContain(credentialId);
      const { credential: next } = await admin.rotateCredential({
        ...{ credentialId, graceSeconds: 900, requestId: "" },
      });
      expect(next).toMatchObject({ owner: "github/alice", role: Role.ROLE_MEMBER });
    });

    it("give nobody a higher role", async () => {
      const { credential } = await issuer.create(issuer.developer("github/oda", "owner"));
      const { credentialId } = credential;
      const admin = issuer.developer("github/ann", "admin");
      await expect(
        admin.rotateCredential({ credentialId, graceSeconds: 0, requestId: "" }),
      ).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
      await expect(admin.getCredential({ credentialId })).resolves.toBeDefined();
    });
  });

  it("are named by their id: a value in its place is refused and not shown again", async () => {
    const { value: credentialId } = await issuer.create(alice);
    const calls = [
      alice.getCredential({ credentialId }),
      alice.revokeCredential({ credentialId, at: undefined }),
      alice.rotateCredential({ credentialId, graceSeconds: 0, requestId: "" }),
    ];
    const errors = await allRefused(calls, {
      ...{ code: "INVALID_ARGUMENT", violations: [{ field: "credential_id" }] },
    });
    expect(inspect(errors, { depth: 10 })).not.toContain(credentialId.slice(12));
  });

  it("stay revoked when the database's clock steps back", async () => {
    const { credential, value } = await issuer.create(alice);
    await alice.revokeCredential({ credentialId: credential.credentialId, at: undefined });
    await issuer.pass(-3_600);
    expect(await faultOf(value)).toBe(CredentialFault.CREDENTIAL_FAULT_REVOKED);
  });

  it("are listed newest first, by kind, page by page", async () => {
    const dora = issuer.developer("github/dora");
    const made: string[] = [];
    for (const kind of [KEY, TOKEN, KEY, KEY]) {
      const agentName = kind === TOKEN ? "a" : "";
      const { credential } = await issuer.create(dora, { kind, agentName });
      made.unshift(credential.credentialId);
    }
    expect(await idsOf(dora)).toEqual(made);
    expect(await idsOf(dora, { kind: TOKEN })).toEqual([made[2]]);
    const wish = { kind: CredentialKind.CREDENTIAL_KIND_UNSPECIFIED, includeEnded: false };
    const first = await dora.listCredentials({ ...wish, pageSize: 3, pageToken: "" });
    const pageToken = first.nextPageToken;
    const second = await dora.listCredentials({ ...wish, pageSize: 3, pageToken });
    expect(
      [...first.credentials, ...second.credentials].map(({ credentialId }) => credentialId),
    ).toEqual(made);
    expect(second.nextPageToken).toBe("");
    await dora.revokeCredential({ credentialId: made[0] ?? "", at: undefined });
    expect(await idsOf(dora)).toEqual(made.slice(1));
    expect(await idsOf(dora, { includeEnded: true })).toEqual(made);
  });

  it.each([
    ["kind", { kind: CredentialKind.CREDENTIAL_KIND_UNSPECIFIED }],
    ["kind", { kind: CredentialKind.UNRECOGNIZED }],
    ["label", { label: "x".repeat(101) }],
    ["label", { label: "a\nb" }],
    ["label", { label: "a\u202eb" }],
    ["agent_name", { agentName: "a" }],
    ["agent_name", { kind: TOKEN, agentName: "" }],
    ["agent_name", { kind: TOKEN, agentName: "Not a label" }],
    ["scopes", { kind: TOKEN, agentName: "a", scopes: ["GET /"] }],
    ["scopes", { scopes: Array.from({ length: 65 }, (_, at) => `GET /${at}`) }],
    ["scopes[1]", { scopes: ["GET /*", "get /"] }],
    ["scopes[1]", { scopes: ["GET /*", "GET /v1/secret"] }],
    ["scopes[1]", { scopes: ["GET /*", "murmur.rotation.v1.RolloutService/ReKeyAgent"] }],
    ["expires_at", { expiresAt: new Date(Date.now() - 60_000) }],
    ["expires_at", { expiresAt: new Date("+010000-01-01T00:00:00Z") }],
    ["expires_at", { expiresAt: new Date(8.64e15) }],
  ])("are refused with a wrong %s (%j)", async (field, change) => {
    await expect(issuer.create(alice, change)).rejects.toMatchObject({
      ...{ code: "INVALID_ARGUMENT", violations: [{ field }] },
    });
  });

  it("say which method a scope that names none will have meant", async () => {
    const service = "murmur.catalog.v1.SecretService";
    const scopes = [`${service}/ListSecret`, `${service}/GetSecret`];
    await expect(issuer.create(alice, { scopes })).rejects.toMatchObject({
      message: `scope "${service}/ListSecret" names no method of Murmur's services; the nearest is "${service}/ListSecrets"`,
    });
  });

  it("say which route a scope that names none will have meant", async () => {
    const scopes = ["GET /v1/secret*", "GET /v1/secret/NPM", "PATCH /v1/secrets/NPM"];
    const wrong = issuer.create(alice, { scopes });
    await expect(wrong).rejects.toMatchObject({
      message: `scope "GET /v1/secret/NPM" names no route of the gateway; the nearest is "GET /v1/secrets/{name}"`,
      violations: [{ field: "scopes[1]" }, { field: "scopes[2]" }],
    });
  });

  it("are audited: made, rotated, revoked, by whom", async () => {
    const { credential } = await issuer.create(alice);
    const { credentialId } = credential;
    await alice.rotateCredential({ credentialId, graceSeconds: 900, requestId: "" });
    await alice.revokeCredential({ credentialId, at: undefined });
    const { rows } = await issuer.rotation.pool.query(
      `select action, actor_id, object_kind from rotation.audit where object_id = $1 order by id`,
      [credentialId],
    );
    const by = { actor_id: "github/alice", object_kind: "api-key" };
    expect(rows).toEqual([
      { action: "credential.create", ...by },
      { action: "credential.rotate", ...by },
      { action: "credential.revoke", ...by },
    ]);
  });
});
