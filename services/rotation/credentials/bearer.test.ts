import { randomUUID } from "node:crypto";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { CredentialKind } from "../../../gen/murmur/rotation/v1/credentials";
import { Role } from "../../../gen/murmur/rotation/v1/identity";
import { bearerCredentials } from "../../../lib/identity/credentials";
import { sensitive } from "../../../lib/sensitive";
import { type CredentialIssuer, startCredentialIssuer } from "../../../test/harness/credentials";
import { eventually } from "../../../test/harness/eventually";
import { allRefused } from "../../../test/harness/refusals";

const REFUSED = { code: "UNAUTHENTICATED", message: "identity token is missing or expired" };

describe("an API key in place of an identity token", () => {
  let issuer: CredentialIssuer;
  let alice: ReturnType<CredentialIssuer["developer"]>;

  beforeAll(async () => {
    issuer = await startCredentialIssuer();
    alice = issuer.developer("github/alice");
  });
  afterAll(() => issuer.stop());

  const by = (value: string) => issuer.rotation.clients(bearerCredentials(sensitive(value)));
  const list = (value: string) =>
    by(value).agents.listAgents({
      ...{ workspace: "", includeEnded: false, pageSize: 0, pageToken: "" },
    });

  it("is its owner, in its tenant, with the role that it was made with", async () => {
    const expiresAt = new Date(Date.now() + 3_600_000);
    const { value } = await issuer.create(alice, { expiresAt });
    expect(await by(value).identity.getIdentity({})).toEqual({
      ...{ tenantId: "t1", developer: "github/alice", role: Role.ROLE_MEMBER, expiresAt },
      isOperator: false,
    });
    const endless = await issuer.create(issuer.developer("github/oda", "owner", "t2"));
    expect(await by(endless.value).identity.getIdentity({})).toMatchObject({
      ...{ tenantId: "t2", developer: "github/oda", role: Role.ROLE_OWNER, expiresAt: undefined },
    });
  });

  it("does what its scopes say and nothing else", async () => {
    const scopes = ["murmur.rotation.v1.AgentService/ListAgents", "GET /v1/*"];
    const { value } = await issuer.create(alice, { scopes });
    expect((await list(value)).agents).toEqual([]);
    await expect(by(value).vmSync.listVmStatuses({})).rejects.toMatchObject({
      code: "PERMISSION_DENIED",
      message: "the scopes of the API key do not include this method",
    });
    // Who it is it may always ask.
    await by(value).identity.getIdentity({});
    const rest = await issuer.create(alice, { scopes: ["GET /*"] });
    await expect(list(rest.value)).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
  });

  it("is nobody, in the same words, when it is revoked, expired, or never was", async () => {
    const [revoked, expired] = [
      await issuer.create(alice),
      await issuer.create(alice, { expiresAt: new Date(Date.now() + 60_000) }),
    ];
    await list(expired.value);
    await alice.revokeCredential({ credentialId: revoked.credential.credentialId, at: undefined });
    await issuer.pass(60);
    const never = revoked.value.replace(/.$/, (last) => (last === "a" ? "b" : "a"));
    for (const value of [revoked.value, expired.value, never, "mur_key_", "mur_key_x".repeat(99)])
      await expect(list(value)).rejects.toMatchObject(REFUSED);
  });

  it("is not renewed: it is rotated, and the old one works until its grace is over", async () => {
    const { value, credential } = await issuer.create(alice);
    await expect(by(value).identity.renewIdentityToken({})).rejects.toMatchObject({
      ...{ code: "PERMISSION_DENIED", message: "an API key is rotated, not renewed" },
    });
    const rotated = await by(value).credentials.rotateCredential({
      ...{ credentialId: credential.credentialId, graceSeconds: 900, requestId: "" },
    });
    await list(value);
    await issuer.pass(900);
    await expect(list(value)).rejects.toMatchObject(REFUSED);
    await list(rotated.value);
  });

  it("is named in the audit when it is refused and known, and so is an agent's token", async () => {
    const expired = await issuer.create(alice, { expiresAt: new Date(Date.now() + 60_000) });
    const token = await issuer.create(alice, {
      ...{ kind: CredentialKind.CREDENTIAL_KIND_AGENT_TOKEN, agentName: "coder" },
    });
    await issuer.pass(60);
    await expect(list(expired.value)).rejects.toMatchObject(REFUSED);
    await expect(list(token.value)).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
    await eventually(async () => {
      const { rows } = await issuer.rotation.pool.query(
        `select tenant_id, actor_kind, actor_id, detail - 'count' as detail from rotation.audit
         where outcome = 'refused' and (detail->>'api_key' = $1 or detail->>'agent_token' = $2)
         order by actor_kind`,
        [expired.credential.credentialId, token.credential.credentialId],
      );
      expect(rows).toEqual([
        {
          ...{ tenant_id: "t1", actor_kind: "agent", actor_id: "coder" },
          detail: { agent_token: token.credential.credentialId },
        },
        {
          ...{ tenant_id: "t1", actor_kind: "developer", actor_id: "github/alice" },
          detail: { api_key: expired.credential.credentialId, why: "expired" },
        },
      ]);
    });
  });

  it("makes no key that may do more than itself", async () => {
    const create = "murmur.rotation.v1.CredentialService/CreateCredential";
    const { value } = await issuer.create(alice, { scopes: [create] });
    await expect(issuer.create(by(value).credentials)).rejects.toMatchObject({
      code: "PERMISSION_DENIED",
    });
    const narrow = await issuer.create(by(value).credentials, { scopes: [create] });
    expect(narrow.credential.scopes).toEqual([create]);
    const rotate = await issuer.create(alice, { scopes: [create.replace("Create", "Rotate")] });
    const { credentialId } = (await issuer.create(alice)).credential;
    await expect(
      by(rotate.value).credentials.rotateCredential({
        credentialId,
        graceSeconds: 0,
        requestId: "",
      }),
    ).rejects.toMatchObject({
      ...{ code: "PERMISSION_DENIED" },
      message: "the API key may not make one that may do more than itself",
    });
  });

  it("makes none that is valid for longer than itself, and rotates none", async () => {
    const inAnHour = new Date(Date.now() + 3_600_000);
    const { value } = await issuer.create(alice, { expiresAt: inAnHour });
    const { credentialId } = (await issuer.create(alice)).credential;
    const { credentials } = by(value);
    const kind = CredentialKind.CREDENTIAL_KIND_AGENT_TOKEN;
    const calls = [
      issuer.create(credentials),
      issuer.create(credentials, { kind, agentName: "a" }),
      issuer.create(credentials, { expiresAt: new Date(inAnHour.getTime() + 1) }),
      credentials.rotateCredential({ credentialId, graceSeconds: 0, requestId: "" }),
    ];
    await allRefused(calls, {
      ...{ code: "PERMISSION_DENIED" },
      message: "the API key may not make one that is valid for longer than itself",
    });
    await issuer.create(credentials, { expiresAt: inAnHour });
  });

  it("is not given the answer that its owner got by the same request id", async () => {
    const requestId = randomUUID();
    const first = await issuer.create(alice, { requestId });
    const { value } = await issuer.create(alice);
    const second = await issuer.create(by(value).credentials, { requestId });
    expect(second.value).not.toBe(first.value);
  });

  it("is named in the audit of what was done by it", async () => {
    const { value, credential } = await issuer.create(alice);
    const made = await issuer.create(by(value).credentials);
    const { rows } = await issuer.rotation.pool.query(
      "select actor_id, detail from rotation.audit where object_id = $1",
      [made.credential.credentialId],
    );
    expect(rows).toEqual([
      { actor_id: "github/alice", detail: { api_key: credential.credentialId } },
    ]);
  });

  it("of an agent is an agent, who does nothing here and does not rekey", async () => {
    const kind = CredentialKind.CREDENTIAL_KIND_AGENT_TOKEN;
    const { value } = await issuer.create(alice, { kind, agentName: "my-coder" });
    await expect(list(value)).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
    await expect(
      by(value).rollouts.rekeyAgent({ workspace: "w", path: "a", requestId: "", reason: "" }),
    ).rejects.toMatchObject({
      ...{ code: "FAILED_PRECONDITION", message: "rekey is not supported on VMs" },
      reason: ErrorReason.ERROR_REASON_NOT_SUPPORTED_ON_VM,
    });
  });
});
