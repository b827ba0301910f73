import { Role } from "../../../gen/murmur/rotation/v1/identity";
import { generateSigningKey } from "../../../lib/identity/signing-key";
import { issueDeveloperToken, issueVmToken } from "../../../lib/identity/claims";
import { serviceCredentials } from "../../../lib/identity/credentials";
import { type CredentialIssuer, startCredentialIssuer } from "../../../test/harness/credentials";
import type { RotationClients } from "../../../test/harness/rotation";
import { ALL_TENANTS } from "../../../verifier/rotation-channel";

const NOT_VALID = { valid: false, tenantId: "", developer: "", role: Role.ROLE_UNSPECIFIED };

describe("identity tokens that services were presented with", () => {
  let issuer: CredentialIssuer;

  beforeAll(async () => {
    issuer = await startCredentialIssuer();
  });
  afterAll(() => issuer.stop());

  const verify = async (
    tokens: readonly string[],
    { service = "catalog", tenantId = ALL_TENANTS } = {},
  ) => {
    const who = { key: issuer.catalog.rotationKey, service, audience: "rotation", tenantId };
    const client: RotationClients["identity"] = issuer.rotation.clients(
      serviceCredentials(who),
    ).identity;
    const request = { tokens: tokens.map((token) => ({ token, peer: "10.0.0.7:1" })) };
    return (await client.verifyIdentityTokens(request)).answers;
  };
  const token = (developer: string, tenantId = "t1", key = issuer.catalog.rotationKey) =>
    issueDeveloperToken(key, { ...{ tenantId, developer, role: "admin", ttlSeconds: 3600 } });

  it("are answered for in their order, those that are none of ours alike", async () => {
    const [alice, eve] = [await token("github/alice"), await token("github/eve", "t2")];
    const key = issuer.catalog.rotationKey;
    const strange = await token("github/alice", "t1", generateSigningKey("murmur-rotation"));
    const vm = { tenantId: "t1", vmId: "v", name: "v", keyThumbprint: "x", ttlSeconds: 60 };
    const others = ["", "x.y.z", strange, await issueVmToken(key, vm), `${alice}x`];
    expect(await verify([alice, ...others, eve])).toEqual([
      { valid: true, tenantId: "t1", developer: "github/alice", role: Role.ROLE_ADMIN },
      ...others.map(() => NOT_VALID),
      { valid: true, tenantId: "t2", developer: "github/eve", role: Role.ROLE_ADMIN },
    ]);
  });

  it("are another tenant's for a service of one tenant: not valid, and nobody is brought in", async () => {
    const mallory = await token("github/mallory", "t2");
    for (const tenantId of ["t1", ALL_TENANTS])
      expect(await verify([mallory], { service: "verifier", tenantId })).toEqual([NOT_VALID]);
    const { rowCount } = await issuer.rotation.pool.query(
      "select from rotation.people where developer = 'github/mallory'",
    );
    expect(rowCount).toBe(0);
    expect(await verify([mallory], { service: "verifier", tenantId: "t2" })).toMatchObject([
      { valid: true, developer: "github/mallory" },
    ]);
  });

  it("are 100 at most", async () => {
    const alice = await token("github/alice");
    expect(await verify(Array.from({ length: 100 }, () => alice))).toHaveLength(100);
    await expect(verify(Array.from({ length: 101 }, () => alice))).rejects.toMatchObject({
      ...{ code: "INVALID_ARGUMENT", violations: [{ field: "tokens" }] },
    });
  });
});
