import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Role } from "../../../gen/murmur/rotation/v1/identity";
import { issueDeveloperToken, issueOperatorToken } from "../../../lib/identity/claims";
import { bearerCredentials } from "../../../lib/identity/credentials";
import { signingKeyToJwk } from "../../../lib/identity/signing-key";
import { sensitive } from "../../../lib/sensitive";
import { startFleet, type Fleet } from "../../../test/harness/fleet";
import { issueToken } from "./issue-token";

const DAY_SECONDS = 86_400;
const nowSeconds = () => Math.floor(Date.now() / 1000);

describe("developers' identity", () => {
  let fleet: Fleet;
  beforeAll(async () => {
    fleet = await startFleet();
  });
  afterAll(() => fleet.stop());

  const withToken = (token: string) =>
    fleet.rotation.clients(bearerCredentials(sensitive(token))).identity;
  const tokenOf = (firstIssuedAt: number) =>
    issueDeveloperToken(fleet.catalog.rotationKey, {
      ...{ tenantId: "t1", developer: "github/alice", role: "admin", ttlSeconds: 60 },
      firstIssuedAt,
    });

  it("is what the token says", async () => {
    expect(await withToken(await tokenOf(nowSeconds())).getIdentity({})).toMatchObject({
      tenantId: "t1",
      developer: "github/alice",
      role: Role.ROLE_ADMIN,
      expiresAt: expect.any(Date) as Date,
    });
  });

  it("is renewed for a day, with the same rights", async () => {
    const renewed = await withToken(await tokenOf(nowSeconds())).renewIdentityToken({});
    const lifeSeconds = ((renewed.expiresAt?.getTime() ?? 0) - Date.now()) / 1000;
    expect(lifeSeconds).toBeGreaterThan(DAY_SECONDS - 60);
    expect(await withToken(renewed.token).getIdentity({})).toMatchObject({
      developer: "github/alice",
      role: Role.ROLE_ADMIN,
    });
  });

  it("ends 90 days after the first token, however often it was renewed", async () => {
    const almost = await tokenOf(nowSeconds() - 90 * DAY_SECONDS + 600);
    const renewed = await withToken(almost).renewIdentityToken({});
    const lifeSeconds = ((renewed.expiresAt?.getTime() ?? 0) - Date.now()) / 1000;
    expect(lifeSeconds).toBeLessThan(601);
    const over = await tokenOf(nowSeconds() - 90 * DAY_SECONDS - 1);
    await expect(withToken(over).renewIdentityToken({})).rejects.toMatchObject({
      code: "UNAUTHENTICATED",
    });
  });

  describe("issued by an operator", () => {
    let directory: string;
    let keyFile: string;
    beforeAll(() => {
      directory = mkdtempSync(join(tmpdir(), "murmur-issue-"));
      keyFile = join(directory, "key.json");
      writeFileSync(keyFile, signingKeyToJwk(fleet.catalog.rotationKey).expose());
      chmodSync(keyFile, 0o600);
    });
    afterAll(() => {
      rmSync(directory, { recursive: true });
    });
    const issue = (...args: string[]) =>
      issueToken(["--key-file", keyFile, "--tenant", "t1", "--developer", "github/bob", ...args]);

    it("is a good token of the named developer and role", async () => {
      const token = await issue("--role", "member", "--ttl", "30m");
      expect(await withToken(token).getIdentity({})).toMatchObject({
        developer: "github/bob",
        role: Role.ROLE_MEMBER,
      });
    });

    it("is a good token of an operator, who is in no tenant, for hours at most", async () => {
      const forOperator = (...args: string[]) =>
        issueToken(["--key-file", keyFile, "--operator", "github/dana", ...args]);
      const clients = fleet.rotation.clients(bearerCredentials(sensitive(await forOperator())));
      expect(await clients.identity.getIdentity({})).toMatchObject({
        ...{ tenantId: "", developer: "github/dana", role: Role.ROLE_UNSPECIFIED },
        isOperator: true,
      });
      for (const refused of [
        () => clients.identity.renewIdentityToken({}),
        () => clients.people.listPeople({ pageSize: 0, pageToken: "" }),
        () => clients.tenants.deleteTenant({ confirmTenant: "", requestId: "x".repeat(22) }),
      ])
        await expect(refused()).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
      const key = fleet.catalog.rotationKey;
      const long = { operator: "github/dana", ttlSeconds: 12 * 3_600 + 1 };
      await expect(
        withToken(await issueOperatorToken(key, long)).getIdentity({}),
      ).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
      await expect(forOperator("--ttl", "13h")).rejects.toThrow("at most 12h");
      await expect(forOperator("--tenant", "t1")).rejects.toThrow("usage: issue-token");
      await expect(forOperator("--operator", "dana")).rejects.toThrow("PROVIDER/NAME");
    });

    it.each([
      [["--role", "king"], "--role must be one of member, admin, owner"],
      [["--ttl", "91d"], "--ttl must be a duration such as 30m, 24h or 30d, at most 90d"],
      [["--ttl", "soon"], "--ttl must be a duration such as 30m, 24h or 30d, at most 90d"],
      [["--developer", "bob"], "--developer must be PROVIDER/NAME"],
      [["--tenant", ""], "usage: issue-token"],
    ])("is refused with %j", async (args, message) => {
      await expect(issue(...args)).rejects.toThrow(message);
    });
  });
});
