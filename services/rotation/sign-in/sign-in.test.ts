import { createHash, createHmac, randomUUID } from "node:crypto";
import { Role } from "../../../gen/murmur/rotation/v1/identity";
import { type Clock, systemClock } from "../../../lib/clock";
import { bearerCredentials } from "../../../lib/identity/credentials";
import type { Role as RoleName } from "../../../lib/identity/principal";
import { sensitive } from "../../../lib/sensitive";
import { type FakeIssuer, startFakeIssuer } from "../../../test/fakes/fake-issuer";
import { type Fleet, startFleet } from "../../../test/harness/fleet";
import { allRefused } from "../../../test/harness/refusals";
import type { RotationClients } from "../../../test/harness/rotation";
import type { SignInSettings } from "./exchange-token";
import { postgresSignInStore } from "./store/postgres-sign-in-store";

const { ROLE_MEMBER, ROLE_ADMIN } = Role;
const UNAUTHENTICATED = {
  ...{ code: "UNAUTHENTICATED", message: "identity token is missing or expired", metadata: {} },
};
const SCOPES = ["openid", "email", "profile"];

let provider: FakeIssuer;
let stranger: FakeIssuer;
let fleet: Fleet;
let nobody: RotationClients;
/** Each test has a tenant of its own, with this owner and `corp/alice`, who is a member. */
let tenantId: string;
let owner: RotationClients;
let tenants = 0;
/** Lets time pass for what is measured, such as the age of keys; what tokens say is compared with the day. */
let passedMs = 0;
const clock: Clock = {
  ...systemClock,
  monotonicMs: () => systemClock.monotonicMs() + passedMs,
};
const pass = (ms: number) => (passedMs += ms);

function settings(): SignInSettings {
  return {
    ...{ issuer: provider.issuer, clientId: "murmur-cli", scopes: SCOPES },
    naming: { provider: "corp", claim: "email", domain: "example.com" },
    newcomers: { tenantId: "open-house", role: "admin" },
    sessionSeconds: 3_600,
  };
}

beforeAll(async () => {
  provider = await startFakeIssuer();
  stranger = await startFakeIssuer();
  fleet = await startFleet({ clock, signIn: settings() });
  nobody = fleet.rotation.clients();
});
afterAll(async () => {
  await fleet.stop();
  await provider.stop();
  await stranger.stop();
});
beforeEach(async () => {
  await fleet.rotation.pool.query("delete from rotation.attempts");
  tenantId = `sign-in-${++tenants}`;
  owner = fleet.developer("github/olga", "owner", tenantId);
  await owner.people.addPerson({ developer: "corp/alice", role: ROLE_MEMBER });
});
afterEach(() => {
  provider.answer = undefined;
});

const exchange = (idToken: string, change = {}) =>
  nobody.identity.exchangeToken({ idToken, tenantId, nonceSecret: "", ...change });
const withToken = (token: string) => fleet.rotation.clients(bearerCredentials(sensitive(token)));
const payloadOf = (token: string) =>
  JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()) as object;
/** Lets the provider's keys be asked for again. */
const later = () => pass(10_000);

describe("an ID token of the provider", () => {
  it("is exchanged for an identity token of the person whom it names", async () => {
    const { token, ...answer } = await exchange(await provider.idToken());
    expect(answer).toMatchObject({ tenantId, developer: "corp/alice", role: ROLE_MEMBER });
    expect(await withToken(token).identity.getIdentity({})).toMatchObject({
      ...{ tenantId, developer: "corp/alice", role: ROLE_MEMBER, expiresAt: answer.expiresAt },
    });
  });

  it("is asked for as the configuration says", async () => {
    expect(await nobody.identity.getSignIn({})).toEqual({
      ...{ issuer: provider.issuer, clientId: "murmur-cli", scopes: SCOPES },
    });
  });

  it("is not looked at beyond 60 attempts from one address in 15 minutes", async () => {
    const attempts = Array.from({ length: 60 }, () => exchange("x.y.z"));
    await allRefused(attempts, UNAUTHENTICATED);
    const idToken = await provider.idToken();
    await expect(exchange(idToken)).rejects.toMatchObject({
      ...{ code: "RESOURCE_EXHAUSTED", message: "Too many sign-ins (max 60 per 15 minutes)" },
      retryAfterMs: expect.any(Number) as number,
    });
    await fleet.rotation.pool.query(
      `update rotation.attempts set times = array(
         select it - interval '15 minutes' from unnest(times) with ordinality as t(it, n) order by n)`,
    );
    await exchange(idToken);
  });

  it("gives what the person may now: no role that it or the caller claims", async () => {
    const idToken = await provider.idToken({ rol: "owner", role: "owner", ten: "other" });
    const { token } = await exchange(idToken);
    const { people } = withToken(token);
    await expect(
      people.setPersonRole({ developer: "corp/alice", role: ROLE_ADMIN }),
    ).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
  });

  it("is exchanged once, of many at once for one", async () => {
    const idToken = await provider.idToken();
    const outcomes = await Promise.allSettled(Array.from({ length: 5 }, () => exchange(idToken)));
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    const other = `${tenantId}-too`;
    const request = { developer: "corp/alice", role: ROLE_MEMBER };
    await fleet.developer("github/olga", "owner", other).people.addPerson(request);
    await allRefused([exchange(idToken), exchange(idToken, { tenantId: other })], UNAUTHENTICATED);
  });

  it("with a nonce is of use to whoever has what that was made of", async () => {
    const secret = randomUUID();
    const nonce = createHash("sha256").update(secret).digest("base64url");
    const idToken = await provider.idToken({ nonce });
    await allRefused(
      [exchange(idToken), exchange(idToken, { nonceSecret: nonce })],
      UNAUTHENTICATED,
    );
    await exchange(idToken, { nonceSecret: secret });
  });
});

describe("is refused like any other token that is not good:", () => {
  const now = () => Math.floor(Date.now() / 1000);
  const unsigned = (token: string, header: object) => {
    const [, payload = ""] = token.split(".");
    return `${Buffer.from(JSON.stringify(header)).toString("base64url")}.${payload}.`;
  };
  it.each<[string, () => Promise<string> | string]>([
    ["nothing", () => ""],
    ["garbage", () => "x.y.z"],
    ["a long text", () => "x".repeat(20_000)],
    ["one for another client", () => provider.idToken({ aud: "another" })],
    ["one for many that another asked for", () => provider.idToken({ azp: "another" })],
    ["one for many of whom none asked", () => provider.idToken({ aud: ["murmur-cli", "b"] })],
    ["another issuer's", () => stranger.idToken()],
    ["another issuer's in the name of ours", () => stranger.idToken({ iss: provider.issuer })],
    ["one that says another issuer", () => provider.idToken({ iss: stranger.issuer })],
    ["one that is over", () => provider.idToken({ iat: now() - 400, exp: now() - 100 })],
    ["one without an end", () => provider.idToken({ exp: undefined })],
    ["one of an hour ago", () => provider.idToken({ iat: now() - 3_600, exp: now() + 3_600 })],
    ["one of nobody", () => provider.idToken({ sub: "" })],
    ["one that names nobody", () => provider.idToken({ sub: undefined })],
    ["one without a signature", async () => unsigned(await provider.idToken(), { alg: "none" })],
    ["one signed by the client's name", async () => sharedSecretToken("murmur-cli")],
    ["an identity token of ours", async () => (await exchange(await provider.idToken())).token],
  ])("%s", async (_what, make) => {
    await expect(exchange(await make())).rejects.toMatchObject(UNAUTHENTICATED);
  });

  async function sharedSecretToken(secret: string): Promise<string> {
    const [, payload = ""] = (await provider.idToken()).split(".");
    const header = Buffer.from(JSON.stringify({ alg: "HS256" })).toString("base64url");
    const signature = createHmac("sha256", secret).update(`${header}.${payload}`);
    return `${header}.${payload}.${signature.digest("base64url")}`;
  }
});

describe("the person", () => {
  const NOT_IN_TENANT = { code: "PERMISSION_DENIED", metadata: { developer: "corp/bob" } };
  const bob = (change = {}) =>
    provider.idToken({ email: "Bob@Example.com", sub: "subject-of-bob", ...change });

  it("has to be in the tenant, whether that is there or not", async () => {
    await allRefused([exchange(await bob())], NOT_IN_TENANT);
    await allRefused([exchange(await bob(), { tenantId: "nowhere" })], NOT_IN_TENANT);
    await owner.people.addPerson({ developer: "corp/bob", role: ROLE_MEMBER });
    await owner.people.removePerson({ developer: "corp/bob" });
    await allRefused([exchange(await bob())], NOT_IN_TENANT);
  });

  it("need not name the tenant where it is the only one", async () => {
    await owner.people.addPerson({ developer: "corp/carl", role: ROLE_ADMIN });
    const carl = () => provider.idToken({ email: "carl@example.com", sub: "subject-of-carl" });
    expect(await exchange(await carl(), { tenantId: "" })).toMatchObject({ tenantId });
    const other = fleet.developer("github/olga", "owner", `${tenantId}-too`);
    await other.people.addPerson({ developer: "corp/carl", role: ROLE_MEMBER });
    await expect(exchange(await carl(), { tenantId: "" })).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      message: `corp/carl is in several tenants, name one: ${tenantId}, ${tenantId}-too`,
    });
  });

  it("comes in as a newcomer where the configuration lets the domain in, and back never", async () => {
    const newcomer = { tenantId: "open-house" };
    const { token, role } = await exchange(await bob(), newcomer);
    expect(role).toBe(ROLE_ADMIN);
    await exchange(await bob(), newcomer);
    expect(await withToken(token).identity.getIdentity({})).toMatchObject({ role: ROLE_ADMIN });
    const host = fleet.developer("github/olga", "owner", "open-house");
    await host.people.removePerson({ developer: "corp/bob" });
    await expect(exchange(await bob(), newcomer)).rejects.toMatchObject(NOT_IN_TENANT);
    await expect(withToken(token).identity.getIdentity({})).rejects.toMatchObject(UNAUTHENTICATED);
  });

  it.each([
    ["another domain", { email: "alice@evil.example" }],
    ["a domain that ends like ours", { email: "alice@notexample.com" }],
    ["two addresses", { email: "alice@example.com@evil.example" }],
    ["an address that nobody verified", { email_verified: false }],
    ["an address verified by a text", { email_verified: "true" }],
    ["an address of which that is not said", { email_verified: undefined }],
    ["no address", { email: undefined }],
    ["an address that is no text", { email: ["alice@example.com"] }],
    ["a local part that no name can have", { email: "al/ice@example.com" }],
  ])("is nobody with %s", async (_what, change) => {
    for (const tenant of [tenantId, "open-house"])
      await expect(
        exchange(await provider.idToken(change), { tenantId: tenant }),
      ).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
  });

  it("is not another account of the provider that has got its name", async () => {
    await exchange(await provider.idToken());
    const heir = () => provider.idToken({ sub: "subject-of-an-heir" });
    await expect(exchange(await heir())).rejects.toMatchObject({
      ...{ code: "PERMISSION_DENIED", metadata: { developer: "corp/alice" } },
    });
    await exchange(await provider.idToken());
    await owner.people.removePerson({ developer: "corp/alice" });
    await owner.people.addPerson({ developer: "corp/alice", role: ROLE_MEMBER });
    await exchange(await heir());
  });

  it("signs in again in the second in which they were added again", async () => {
    await exchange(await provider.idToken());
    await owner.people.removePerson({ developer: "corp/alice" });
    await owner.people.addPerson({ developer: "corp/alice", role: ROLE_MEMBER });
    const { token } = await exchange(await provider.idToken());
    await withToken(token).identity.getIdentity({});
  });

  it("is in the audit, without the token", async () => {
    const idToken = await provider.idToken();
    await exchange(idToken);
    const { rows } = await fleet.rotation.pool.query(
      `select actor_id, action, peer, detail from rotation.audit
       where tenant_id = $1 and action = 'identity.sign-in'`,
      [tenantId],
    );
    expect(rows).toMatchObject([
      { actor_id: "corp/alice", peer: expect.stringContaining("127.0.0.1") as string },
    ]);
    expect(JSON.stringify(rows)).not.toContain(idToken.slice(-20));
  });
});

describe("a sign-in", () => {
  it("is renewed until it is over, and no longer", async () => {
    const { token } = await exchange(await provider.idToken());
    const { exp, rnu } = payloadOf(token) as { exp: number; rnu: number };
    // The machine's clock has gone on since the database said when the session ends.
    expect(exp).toBeLessThanOrEqual(rnu + 60);
    const { token: renewed } = await withToken(token).identity.renewIdentityToken({});
    expect(payloadOf(renewed)).toMatchObject({ rnu });
    expect((payloadOf(renewed) as { exp: number }).exp).toBeLessThanOrEqual(rnu + 60);
  });

  it("is not renewed once the person was removed or has another role without that", async () => {
    const { token } = await exchange(await provider.idToken());
    await owner.people.setPersonRole({ developer: "corp/alice", role: ROLE_ADMIN });
    await owner.people.setPersonRole({ developer: "corp/alice", role: ROLE_MEMBER });
    const { token: renewed } = await withToken(token).identity.renewIdentityToken({});
    expect(payloadOf(renewed)).toMatchObject({ rol: "member" satisfies RoleName });
    await owner.people.removePerson({ developer: "corp/alice" });
    await allRefused(
      [token, renewed].map((it) => withToken(it).identity.renewIdentityToken({})),
      UNAUTHENTICATED,
    );
  });

  it("leaves a used token until that is over, and not for ever", async () => {
    await exchange(await provider.idToken());
    const { pool } = fleet.rotation;
    expect(await postgresSignInStore.prune(pool, 1000)).toBe(0);
    await pool.query(
      "update rotation.exchanged_tokens set expires_at = now() - interval '1 s' where tenant_id = $1",
      [tenantId],
    );
    expect(await postgresSignInStore.prune(pool, 1000)).toBe(1);
  });
});

describe("the provider", () => {
  it("rolls its key: the new one counts at once, the old one when it is not fetched any more", async () => {
    later();
    const old = await provider.idToken();
    provider.roll();
    await exchange(await provider.idToken());
    await expect(exchange(old)).rejects.toMatchObject(UNAUTHENTICATED);
  });

  it("is not asked again and again by whoever presents tokens of unknown keys", async () => {
    later();
    await exchange(await provider.idToken());
    const forged = () => stranger.idToken({ iss: provider.issuer });
    await expect(exchange(await forged())).rejects.toMatchObject(UNAUTHENTICATED);
    const before = provider.fetches;
    const calls = Array.from({ length: 20 }, async () => exchange(await forged()));
    await allRefused(calls, UNAUTHENTICATED);
    // Once in ten seconds at most, however long the machine took.
    expect(provider.fetches - before).toBeLessThan(3);
  });

  it("may be away for an hour; then there is no answer, and one when it is back", async () => {
    later();
    await exchange(await provider.idToken());
    provider.answer = (_path, response) => response.writeHead(503).end();
    pass(30 * 60_000);
    await exchange(await provider.idToken());
    pass(40 * 60_000);
    await expect(exchange(await provider.idToken())).rejects.toMatchObject({
      ...{ code: "UNAVAILABLE", message: "the identity provider cannot be reached" },
    });
    provider.answer = undefined;
    later();
    await exchange(await provider.idToken());
  });

  it.each<[string, NonNullable<FakeIssuer["answer"]>]>([
    [
      "is redirected to another place",
      (_path, response) => response.writeHead(302, { location: `${stranger.issuer}/keys` }).end(),
    ],
    ["answers more than anybody needs", (_path, response) => response.end("[".repeat(300_000))],
    ["answers no JSON", (_path, response) => response.end("<html>")],
    [
      "answers another issuer's document",
      (_path, response) =>
        response.end(JSON.stringify({ issuer: "https://other", jwks_uri: "https://other/keys" })),
    ],
    [
      "points at keys by plain HTTP elsewhere",
      (_path, response) =>
        response.end(JSON.stringify({ issuer: provider.issuer, jwks_uri: "http://192.0.2.1/k" })),
    ],
  ])("is as good as away when it %s", async (_what, answer) => {
    pass(70 * 60_000);
    provider.answer = answer;
    const { fetches } = stranger;
    await expect(exchange(await provider.idToken())).rejects.toMatchObject({
      code: "UNAVAILABLE",
    });
    expect(stranger.fetches).toBe(fetches);
    later();
  });
});

it("without a configured provider nobody signs in", async () => {
  const without = await startFleet();
  const { identity } = without.rotation.clients();
  await allRefused(
    [
      identity.getSignIn({}),
      identity.exchangeToken({ idToken: await provider.idToken(), tenantId, nonceSecret: "" }),
    ],
    { code: "FAILED_PRECONDITION", message: "no identity provider is configured" },
  );
  await without.stop();
});
