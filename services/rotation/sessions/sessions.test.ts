import { CredentialFault, CredentialKind } from "../../../gen/murmur/rotation/v1/credentials";
import { Role } from "../../../gen/murmur/rotation/v1/identity";
import { issueDeveloperToken } from "../../../lib/identity/claims";
import { bearerCredentials, serviceCredentials } from "../../../lib/identity/credentials";
import type { Role as RoleName } from "../../../lib/identity/principal";
import { sensitive } from "../../../lib/sensitive";
import {
  API_KEY,
  type CredentialIssuer,
  startCredentialIssuer,
} from "../../../test/harness/credentials";
import { eventually } from "../../../test/harness/eventually";
import { allRefused } from "../../../test/harness/refusals";
import { postgresSessionStore as store } from "./store/postgres-session-store";
import {
  type RotationClients,
  startRotation,
  type TestRotation,
} from "../../../test/harness/rotation";

const REFUSED = { code: "UNAUTHENTICATED", message: "identity token is missing or expired" };
const DENIED = { code: "PERMISSION_DENIED" };
const HOUR_MS = 3_600_000;

let issuer: CredentialIssuer;
/** Another replica, which has a memory of its own. */
let other: TestRotation;
/** Each test has a tenant of its own. */
let tenantId: string;
let tenants = 0;
let owner: RotationClients;

beforeAll(async () => {
  issuer = await startCredentialIssuer();
  other = await startRotation({ catalog: issuer.catalog, beside: issuer.rotation });
});
afterAll(async () => {
  await other.stop();
  await issuer.stop();
});
beforeEach(async () => {
  tenantId = `sessions-${++tenants}`;
  owner = await enter("github/olga", "owner");
});

/** With an identity token, which is good for a day unless told. */
async function enter(developer: string, role: RoleName, ttlSeconds = 24 * 3600) {
  const who = { tenantId, developer, role, ttlSeconds, firstIssuedAt: 1_000 };
  const clients = by(await issueDeveloperToken(issuer.catalog.rotationKey, who));
  await clients.identity.getIdentity({});
  return clients;
}

const by = (value: string, at = issuer.rotation) => at.clients(bearerCredentials(sensitive(value)));
const make = async (clients: RotationClients, userAgent = "Firefox") => {
  const { session, ...rest } = await clients.sessions.createSession({ userAgent });
  if (!session) throw new Error("answered without a session");
  return { session, ...rest };
};
const keyOf = async (clients: RotationClients, change = {}) => {
  const { credential, value } = await clients.credentials.createCredential({
    ...API_KEY,
    ...change,
  });
  return { id: credential?.credentialId ?? "", value };
};
const roleAt = async (value: string, at = issuer.rotation) =>
  (await by(value, at).identity.getIdentity({})).role;
/** Both replicas have it in memory. */
const isKnown = async (value: string) => {
  for (const at of [issuer.rotation, other]) for (let n = 0; n < 2; n++) await roleAt(value, at);
};
/** At once, and by both. */
const isOver = async (value: string) => {
  for (const at of [issuer.rotation, other])
    await expect(roleAt(value, at)).rejects.toMatchObject(REFUSED);
};
const list = async (clients: RotationClients) =>
  (await clients.sessions.listSessions({ pageSize: 0, pageToken: "" })).sessions;
const lasts = ({
  createdAt,
  expiresAt,
}: {
  createdAt?: Date | undefined;
  expiresAt?: Date | undefined;
}) => ((expiresAt?.getTime() ?? NaN) - (createdAt?.getTime() ?? NaN)) / HOUR_MS;

describe("a session", () => {
  it("is whoever made it, with the same rights, for 12 hours", async () => {
    const { session, value, ...person } = await make(owner);
    expect(value).toMatch(/^mur_ses_[0-9A-Za-z]{49}$/);
    const who = { tenantId, developer: "github/olga", role: Role.ROLE_OWNER };
    expect(person).toEqual(who);
    expect(lasts(session)).toBeCloseTo(12, 2);
    expect(await by(value).identity.getIdentity({})).toMatchObject({
      ...who,
      expiresAt: session.expiresAt,
    });
    await by(value).people.addPerson({ developer: "github/bob", role: Role.ROLE_MEMBER });
    const shown = await by(value).sessions.getSession({});
    expect(shown).toMatchObject({ ...who, session: { ...session, isCurrent: true } });
  });

  it("is kept nowhere as it is", async () => {
    const { value } = await make(owner);
    const secret = value.slice("mur_ses_".length + 4);
    const { rows } = await issuer.rotation.pool.query<{ text: string }>(
      `select (select string_agg(c::text, ' ') from rotation.credentials c)
         || (select string_agg(a::text, ' ') from rotation.audit a) as text`,
    );
    expect(rows[0]?.text).toContain("mur_ses_");
    expect(rows[0]?.text).not.toContain(secret);
    expect(rows[0]?.text).not.toContain(Buffer.from(value).toString("hex"));
  });

  it("lasts no longer than what it was made with", async () => {
    const shortly = await enter("github/olga", "owner", 600);
    expect(lasts((await make(shortly)).session)).toBeLessThan(0.17);
    const expiresAt = new Date(Date.now() + HOUR_MS);
    const key = await keyOf(owner, { expiresAt });
    expect((await make(by(key.value))).session.expiresAt).toEqual(expiresAt);
  });

  it("is over after its time, by the clock of the database", async () => {
    const { value } = await make(owner);
    await isKnown(value);
    await issuer.pass(12 * 3600 + 1);
    await isOver(value);
    expect(await list(owner)).toEqual([]);
  });

  it("makes no other session, nor a token that lives longer", async () => {
    const { value } = await make(owner);
    await expect(make(by(value))).rejects.toMatchObject({
      ...DENIED,
      message: "a session makes no other: sign in with an API key or an identity token",
    });
    await expect(by(value).identity.renewIdentityToken({})).rejects.toMatchObject({
      ...DENIED,
      message: "a session is not renewed: sign in again",
    });
  });

  it("is nothing that keys are made of, listed with or ended by", async () => {
    const { session, value } = await make(owner);
    const { sessionId: credentialId } = session;
    const everything = { includeEnded: true, pageSize: 0, pageToken: "" };
    const kind = CredentialKind.CREDENTIAL_KIND_UNSPECIFIED;
    expect((await owner.credentials.listCredentials({ ...everything, kind })).credentials).toEqual(
      [],
    );
    const wish = { credentialId, graceSeconds: 0, requestId: "" };
    await allRefused(
      [
        owner.credentials.getCredential({ credentialId }),
        owner.credentials.rotateCredential(wish),
        owner.credentials.revokeCredential({ credentialId, at: undefined }),
      ],
      { code: "NOT_FOUND" },
    );
    const session_ = CredentialKind.CREDENTIAL_KIND_SESSION;
    await allRefused(
      [
        keyOf(owner, { kind: session_ }),
        owner.credentials.listCredentials({ ...everything, kind: session_ }),
      ],
      { code: "INVALID_ARGUMENT" },
    );
    await isKnown(value);
  });
});

describe("a session that was made with an API key", () => {
  it("has the scopes of the key, whatever they are", async () => {
    const scopes = ["murmur.rotation.v1.CredentialService/ListCredentials"];
    const key = await keyOf(owner, { scopes });
    const { session, value } = await make(by(key.value));
    expect(session).toMatchObject({ apiKeyId: key.id, apiKeyLabel: API_KEY.label });
    await by(value).sessions.getSession({});
    const wish = { kind: API_KEY.kind, includeEnded: false, pageSize: 0, pageToken: "" };
    expect((await by(value).credentials.listCredentials(wish)).credentials).toHaveLength(1);
    await allRefused(
      [
        by(value).people.listPeople({ pageSize: 0, pageToken: "" }),
        by(value).sessions.revokeAllSessions({}),
        keyOf(by(value)),
      ],
      { ...DENIED, message: "the scopes of the API key do not include this method" },
    );
    await by(value).sessions.endSession({});
    await isOver(value);
  });

  it("makes keys as the key itself could, and none that outlive it", async () => {
    const forever = await keyOf(owner);
    const { value } = await make(by(forever.value));
    expect((await keyOf(by(value))).id).not.toBe("");
    const rotated = { credentialId: forever.id, graceSeconds: 900, requestId: "" };
    expect((await by(value).credentials.rotateCredential(rotated)).value).toMatch(/^mur_key_/);
    const expiresAt = new Date(Date.now() + HOUR_MS);
    const bounded = await make(by((await keyOf(owner, { expiresAt })).value));
    await expect(keyOf(by(bounded.value))).rejects.toMatchObject({
      ...DENIED,
      message: "the API key may not make one that is valid for longer than itself",
    });
  });

  it("ends with the key when that is revoked, before the answer, on every replica", async () => {
    const key = await keyOf(owner);
    const [one, two] = [await make(by(key.value)), await make(owner)];
    await Promise.all([isKnown(one.value), isKnown(two.value)]);
    await owner.credentials.revokeCredential({ credentialId: key.id, at: undefined });
    await isOver(one.value);
    await isKnown(two.value);
  });

  it("ends with the key when that is rotated: at once, or after the grace", async () => {
    const [now, later] = [await keyOf(owner), await keyOf(owner)];
    const [first, second] = [await make(by(now.value)), await make(by(later.value))];
    await isKnown(first.value);
    const rotate = (credentialId: string, graceSeconds: number) =>
      owner.credentials.rotateCredential({ credentialId, graceSeconds, requestId: "" });
    await rotate(now.id, 0);
    await isOver(first.value);
    const { replaced } = await rotate(later.id, 3600);
    const { session } = await by(second.value).sessions.getSession({});
    expect(session?.expiresAt).toEqual(replaced?.expiresAt);
    await expect(keyOf(by(second.value))).rejects.toMatchObject(DENIED);
  });

  it("is not made with a key that ends meanwhile", async () => {
    const key = await keyOf(owner);
    const { pool } = issuer.rotation;
    const ending = await pool.connect();
    await ending.query("begin");
    await ending.query(
      "update rotation.credentials set revoked_at = clock_timestamp() where credential_id = $1",
      [key.id],
    );
    const making = make(by(key.value)).catch((error: unknown) => error);
    await eventually(async () => {
      const { rows } = await pool.query(
        `select from pg_stat_activity where datname = current_database()
           and wait_event_type = 'Lock' and query like '%rotation.credentials%for update%'`,
      );
      expect(rows).toHaveLength(1);
    });
    await ending.query("commit");
    ending.release();
    expect(await making).toMatchObject(REFUSED);
  });
});

describe("a session and its person", () => {
  it("may what the person may now", async () => {
    const member = await enter("github/bob", "admin");
    const { value } = await make(member);
    await isKnown(value);
    await owner.people.setPersonRole({ developer: "github/bob", role: Role.ROLE_MEMBER });
    for (const at of [issuer.rotation, other])
      expect(await roleAt(value, at)).toBe(Role.ROLE_MEMBER);
    await owner.people.setPersonRole({ developer: "github/bob", role: Role.ROLE_OWNER });
    expect(await roleAt(value)).toBe(Role.ROLE_ADMIN);
  });

  it("end together, and the answer counts keys alone", async () => {
    const bob = await enter("github/bob", "member");
    const key = await keyOf(bob);
    const [one, two] = [await make(bob), await make(by(key.value))];
    await Promise.all([isKnown(one.value), isKnown(two.value)]);
    const removed = await owner.people.removePerson({ developer: "github/bob" });
    expect(removed.revokedCredentials).toBe(1);
    await Promise.all([isOver(one.value), isOver(two.value)]);
    await owner.people.addPerson({ developer: "github/bob", role: Role.ROLE_MEMBER });
    await isOver(one.value);
  });

  it("are shown as a list of their own, newest first, by page, with the current one marked", async () => {
    const bob = await enter("github/bob", "member");
    await make(bob);
    const key = await keyOf(owner);
    const first = await make(owner, "Firefox on Linux");
    const second = await make(by(key.value), "");
    const sessions = await list(by(second.value));
    expect(sessions.map(({ sessionId }) => sessionId)).toEqual(
      [second, first].map(({ session }) => session.sessionId),
    );
    expect(sessions.map((it) => [it.isCurrent, it.apiKeyId, it.userAgent])).toEqual([
      [true, key.id, ""],
      [false, "", "Firefox on Linux"],
    ]);
    expect(sessions[0]?.madeFrom).toMatch(/^127\.0\.0\.1(:|$)/);
    expect(JSON.stringify(sessions)).not.toContain("mur_ses_");
    const page = await owner.sessions.listSessions({ pageSize: 1, pageToken: "" });
    const { nextPageToken: pageToken } = page;
    const rest = await owner.sessions.listSessions({ pageSize: 1, pageToken });
    expect(rest.sessions.map(({ sessionId }) => sessionId)).toEqual([first.session.sessionId]);
    const garbled = owner.sessions.listSessions({ pageSize: 1, pageToken: "x" });
    await expect(garbled).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  it("are ended one by one, by nobody else, or all at once", async () => {
    const admin = await enter("github/bob", "admin");
    const [one, two, three] = [await make(owner), await make(owner), await make(owner)];
    const theirs = await make(admin);
    await Promise.all([one, two, three, theirs].map(({ value }) => isKnown(value)));
    const { sessionId } = one.session;
    await expect(admin.sessions.revokeSession({ sessionId })).rejects.toMatchObject({
      ...{ code: "NOT_FOUND", metadata: { session_id: sessionId } },
    });
    await by(two.value).sessions.revokeSession({ sessionId });
    await isOver(one.value);
    await expect(owner.sessions.revokeSession({ sessionId })).rejects.toMatchObject({
      code: "NOT_FOUND",
    });
    await expect(owner.sessions.revokeSession({ sessionId: two.value })).rejects.toMatchObject({
      ...{ code: "INVALID_ARGUMENT" },
      message: "session_id must be an id, as lists show it, and never a value",
    });
    await by(two.value).sessions.endSession({});
    await isOver(two.value);
    const last = await make(owner);
    expect(await by(last.value).sessions.revokeAllSessions({})).toEqual({ revokedSessions: 2 });
    await Promise.all([isOver(three.value), isOver(last.value)]);
    await isKnown(theirs.value);
  });
});

it("is said of by an API key or a token: that there is none", async () => {
  const none = { code: "UNAUTHENTICATED", message: "there is no session" };
  const key = by((await keyOf(owner)).value);
  const calls = [owner, key].flatMap(({ sessions }) => [
    sessions.getSession({}),
    sessions.endSession({}),
  ]);
  await allRefused(calls, none);
});

it("is a label that people read, no more than that", async () => {
  for (const userAgent of ["x".repeat(101), "a\u0007b", "a\u202eb"])
    await expect(make(owner, userAgent)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
});

it("is verified for other services, which are told what it was made with", async () => {
  const key = await keyOf(owner, { scopes: ["GET /v1/*"] });
  const [ofKey, ofToken] = [await make(by(key.value)), await make(owner)];
  const who = { service: "catalog", audience: "rotation", tenantId: "*" };
  const signing = serviceCredentials({ key: issuer.catalog.rotationKey, ...who });
  const catalog = issuer.rotation.clients(signing).credentials;
  const verify = (value: string) => catalog.verifyCredential({ value });
  expect(await verify(ofKey.value)).toMatchObject({
    ...{ valid: true, tenantId, credential: { owner: "github/olga", scopes: ["GET /v1/*"] } },
    sessionMaker: { apiKeyId: key.id },
  });
  expect((await verify(ofToken.value)).sessionMaker?.apiKeyId).toBe("");
  expect((await verify(key.value)).sessionMaker).toBeUndefined();
  await by(ofToken.value).sessions.endSession({});
  expect(await verify(ofToken.value)).toMatchObject({
    ...{ valid: false, fault: CredentialFault.CREDENTIAL_FAULT_REVOKED },
  });
});

it("is in the audit: made, used and ended, with what it was made with, and never its value", async () => {
  const key = await keyOf(owner);
  const { session, value } = await make(by(key.value));
  await by(value).people.addPerson({ developer: "github/bob", role: Role.ROLE_MEMBER });
  await by(value).sessions.endSession({});
  const { rows } = await issuer.rotation.pool.query<{ action: string; detail: object }>(
    `select action, object_id, detail from rotation.audit
     where tenant_id = $1 and (object_kind = 'session' or action = 'person.add') order by id`,
    [tenantId],
  );
  const { sessionId } = session;
  expect(rows).toMatchObject([
    { action: "session.create", object_id: sessionId, detail: { api_key: key.id } },
    { action: "person.add", detail: { api_key: key.id, session: sessionId } },
    { action: "session.revoke", object_id: sessionId, detail: { session: sessionId } },
  ]);
  expect(JSON.stringify(rows)).not.toContain("mur_ses_");
});

it("is forgotten a week after its end, and not before", async () => {
  const { pool } = issuer.rotation;
  const { session } = await make(owner);
  const key = await keyOf(owner);
  const isThere = async (id: string) => {
    const { rows } = await pool.query("select from rotation.credentials where credential_id = $1", [
      id,
    ]);
    return rows.length === 1;
  };
  await issuer.pass(7 * 24 * 3600 + 11 * 3600);
  await store.prune(pool, 1000);
  expect(await isThere(session.sessionId)).toBe(true);
  await issuer.pass(2 * 3600);
  await store.prune(pool, 1000);
  expect([await isThere(session.sessionId), await isThere(key.id)]).toEqual([false, true]);
});
