import { CredentialFault, CredentialKind } from "../../../gen/murmur/rotation/v1/credentials";
import { Role } from "../../../gen/murmur/rotation/v1/identity";
import { systemClock } from "../../../lib/clock";
import { issueDeveloperToken } from "../../../lib/identity/claims";
import { bearerCredentials, serviceCredentials } from "../../../lib/identity/credentials";
import type { Role as RoleName } from "../../../lib/identity/principal";
import { sensitive } from "../../../lib/sensitive";
import { spawnRequest } from "../../../test/fakes/scripted-vm";
import { API_KEY } from "../../../test/harness/credentials";
import { type Fleet, startFleet } from "../../../test/harness/fleet";
import { allRefused } from "../../../test/harness/refusals";
import { type RotationClients, startRotation } from "../../../test/harness/rotation";

import { createCredential } from "../credentials/issue-credential";
import { postgresCredentialStore } from "../credentials/store/postgres-credential-store";
import { postgresSealedAnswerStore } from "../credentials/store/postgres-sealed-answer-store";
import { setPersonRole } from "./change-people";
import { postgresPersonStore } from "./store/postgres-person-store";

const { ROLE_MEMBER, ROLE_ADMIN, ROLE_OWNER } = Role;
const UNAUTHENTICATED = {
  ...{ code: "UNAUTHENTICATED", message: "identity token is missing or expired" },
};
const DENIED = { code: "PERMISSION_DENIED" };

let fleet: Fleet;
/** Each test has a tenant of its own. */
let tenantId: string;
let tenants = 0;
let owner: RotationClients;

beforeAll(async () => {
  fleet = await startFleet();
});
afterAll(() => fleet.stop());
beforeEach(async () => {
  tenantId = `people-${++tenants}`;
  owner = await enter("github/olga", "owner");
});

/** With a token that an operator issued a minute ago, or so long ago. */
async function withToken(developer: string, role: RoleName, agoSeconds = 60) {
  const token = await tokenOf(developer, role, agoSeconds);
  return fleet.rotation.clients(bearerCredentials(sensitive(token)));
}

function tokenOf(developer: string, role: RoleName, agoSeconds = 60) {
  const firstIssuedAt = Math.floor(Date.now() / 1000) - agoSeconds;
  return issueDeveloperToken(fleet.catalog.rotationKey, {
    ...{ tenantId, developer, role, ttlSeconds: 3600, firstIssuedAt },
  });
}

/** As `withToken`, and has been here. */
async function enter(developer: string, role: RoleName): Promise<RotationClients> {
  const clients = await withToken(developer, role);
  await clients.identity.getIdentity({});
  return clients;
}

const roleOf = async (clients: RotationClients) => (await clients.identity.getIdentity({})).role;
const withKey = (value: string) => fleet.rotation.clients(bearerCredentials(sensitive(value)));
const keyOf = async (clients: RotationClients, change = {}) =>
  (await clients.credentials.createCredential({ ...API_KEY, ...change })).value;
const list = async (clients = owner) =>
  (await clients.people.listPeople({ pageSize: 0, pageToken: "" })).people.map(
    ({ developer, role }) => [developer, role],
  );
const audited = async () => {
  const { rows } = await fleet.rotation.pool.query<{ action: string; object_id: string }>(
    `select actor_id, action, object_id, detail from rotation.audit
     where tenant_id = $1 and object_kind = 'person' order by id`,
    [tenantId],
  );
  return rows;
};

describe("the people of a tenant", () => {
  it("are added by an owner, listed by anybody, and get the role that they have", async () => {
    const added = await owner.people.addPerson({ developer: "github/bob", role: ROLE_ADMIN });
    expect(added.person).toMatchObject({ developer: "github/bob", addedBy: "github/olga" });
    const bob = await withToken("github/bob", "owner");
    expect(await roleOf(bob)).toBe(ROLE_ADMIN);
    expect(await list(bob)).toEqual([
      ["github/bob", ROLE_ADMIN],
      ["github/olga", ROLE_OWNER],
    ]);
  });

  it("come in by an operator's token once, with the role that it says; then the role is theirs", async () => {
    expect(await roleOf(await withToken("github/bob", "member"))).toBe(ROLE_MEMBER);
    expect(await roleOf(await withToken("github/bob", "owner"))).toBe(ROLE_MEMBER);
    expect(await audited()).toMatchObject([
      { action: "person.introduce", object_id: "github/olga", detail: { role: "owner" } },
      { action: "person.introduce", object_id: "github/bob", detail: { role: "member" } },
    ]);
  });

  it("count at once at every replica that had them in memory", async () => {
    const other = await startRotation({ catalog: fleet.catalog, beside: fleet.rotation });
    try {
      const token = await tokenOf("github/bob", "admin");
      const replicas = [fleet.rotation, other].map((it) =>
        it.clients(bearerCredentials(sensitive(token))),
      );
      const rolesOf = () => Promise.all(replicas.map(roleOf));
      await rolesOf();
      for (const role of [ROLE_OWNER, ROLE_MEMBER, ROLE_ADMIN]) {
        const progress = { isChanged: false };
        const setting = owner.people
          .setPersonRole({ developer: "github/bob", role })
          .finally(() => (progress.isChanged = true));
        // Whoever is asked about all the time is answered for from memory.
        while (!progress.isChanged) await rolesOf();
        expect(await rolesOf()).toEqual([role, role]);
        await setting;
      }
      await owner.people.removePerson({ developer: "github/bob" });
      for (const replica of replicas)
        await expect(roleOf(replica)).rejects.toMatchObject(UNAUTHENTICATED);
    } finally {
      await other.stop();
    }
  });

  it("come in once however many calls they make at once", async () => {
    const bob = await withToken("github/bob", "member");
    await Promise.all(Array.from({ length: 8 }, () => bob.identity.getIdentity({})));
    expect(await audited()).toHaveLength(2);
  });

  it("are added again without effect, but not with another role", async () => {
    const request = { developer: "github/bob", role: ROLE_MEMBER };
    await owner.people.addPerson(request);
    await owner.people.addPerson(request);
    await expect(owner.people.addPerson({ ...request, role: ROLE_ADMIN })).rejects.toMatchObject({
      ...{ code: "ALREADY_EXISTS", metadata: { developer: "github/bob", role: "member" } },
    });
    expect(await audited()).toHaveLength(2);
  });

  it.each<[string, (people: RotationClients["people"]) => Promise<unknown>]>([
    ["a name", (it) => it.addPerson({ developer: "bob", role: ROLE_MEMBER })],
    ["a role", (it) => it.addPerson({ developer: "a/b", role: Role.ROLE_UNSPECIFIED })],
    ["a known role", (it) => it.setPersonRole({ developer: "a/b", role: Role.UNRECOGNIZED })],
    ["a name to remove", (it) => it.removePerson({ developer: "" })],
    ["a page token of its own", (it) => it.listPeople({ pageSize: 1, pageToken: "x" })],
  ])("need %s", async (_what, call) => {
    await expect(call(owner.people)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  it("are listed page by page", async () => {
    for (const name of ["a", "b", "c"])
      await owner.people.addPerson({ developer: `x/${name}`, role: ROLE_MEMBER });
    const first = await owner.people.listPeople({ pageSize: 3, pageToken: "" });
    const rest = await owner.people.listPeople({ pageSize: 3, pageToken: first.nextPageToken });
    expect([...first.people, ...rest.people].map(({ developer }) => developer)).toEqual([
      ...["github/olga", "x/a", "x/b", "x/c"],
    ]);
    expect(rest.nextPageToken).toBe("");
  });

  it("that never were, or were removed, are not found", async () => {
    await enter("github/bob", "member");
    await owner.people.removePerson({ developer: "github/bob" });
    for (const developer of ["github/bob", "github/nobody"])
      await allRefused(
        [
          owner.people.removePerson({ developer }),
          owner.people.setPersonRole({ developer, role: ROLE_ADMIN }),
        ],
        { code: "NOT_FOUND", metadata: { developer } },
      );
  });
});

describe("a role", () => {
  it.each<[RoleName]>([["member"], ["admin"]])("is granted by no %s, to nobody", async (role) => {
    await enter("github/bob", "member");
    const { people } = await enter("github/mallory", role);
    for (const developer of ["github/mallory", "github/bob", "github/new"])
      await allRefused(
        [
          people.setPersonRole({ developer, role: ROLE_OWNER }),
          people.addPerson({ developer, role: ROLE_MEMBER }),
          people.removePerson({ developer }),
        ],
        DENIED,
      );
    expect(await roleOf(await withToken("github/mallory", role))).not.toBe(ROLE_OWNER);
  });

  it("that was changed counts at once, for tokens of before, for keys and after a renewal", async () => {
    const bob = await enter("github/bob", "admin");
    const key = await keyOf(bob);
    await owner.people.setPersonRole({ developer: "github/bob", role: ROLE_MEMBER });
    expect(await roleOf(bob)).toBe(ROLE_MEMBER);
    expect(await roleOf(withKey(key))).toBe(ROLE_MEMBER);
    const { token } = await bob.identity.renewIdentityToken({});
    expect(await roleOf(withKey(token))).toBe(ROLE_MEMBER);
    await owner.people.setPersonRole({ developer: "github/bob", role: ROLE_OWNER });
    expect(await roleOf(bob)).toBe(ROLE_OWNER);
  });

  it("of a key is never more than it was made with, nor more than its owner's", async () => {
    const bob = await enter("github/bob", "member");
    const asMember = await keyOf(bob);
    await owner.people.setPersonRole({ developer: "github/bob", role: ROLE_OWNER });
    expect(await roleOf(withKey(asMember))).toBe(ROLE_MEMBER);
    const asOwner = await keyOf(bob);
    await owner.people.setPersonRole({ developer: "github/bob", role: ROLE_ADMIN });
    expect(await roleOf(withKey(asOwner))).toBe(ROLE_ADMIN);
    const { credentials } = await bob.credentials.listCredentials({
      ...{ kind: API_KEY.kind, includeEnded: false, pageSize: 0, pageToken: "" },
    });
    expect(credentials.map(({ role }) => role)).toEqual([ROLE_ADMIN, ROLE_MEMBER]);
  });

  it("of a key's successor is what the key had then, for good", async () => {
    const bob = await enter("github/bob", "owner");
    const made = await bob.credentials.createCredential(API_KEY);
    await owner.people.setPersonRole({ developer: "github/bob", role: ROLE_MEMBER });
    const credentialId = made.credential?.credentialId ?? "";
    const rotated = await bob.credentials.rotateCredential({
      ...{ credentialId, graceSeconds: 0, requestId: "" },
    });
    await owner.people.setPersonRole({ developer: "github/bob", role: ROLE_OWNER });
    expect(await roleOf(withKey(rotated.value))).toBe(ROLE_MEMBER);
  });

  it("is granted by nobody who has just stopped being an owner", async () => {
    const pool = fleet.rotation.pool;
    // Let in as an owner before, and here after, the change that another made.
    const late = { tenantId, kind: "developer" as const, id: "github/late", peer: "" };
    await enter("github/late", "owner");
    await owner.people.setPersonRole({ developer: "github/late", role: ROLE_ADMIN });
    const wish = { developer: "github/olga", role: "member" as const };
    await expect(
      setPersonRole({ pool, people: postgresPersonStore, clock: systemClock }, late, wish),
    ).rejects.toMatchObject(DENIED);
    expect(await list()).toContainEqual(["github/olga", ROLE_OWNER]);
  });

  it("is granted by an owner's key within its scopes", async () => {
    const scopes = ["murmur.rotation.v1.PeopleService/ListPeople"];
    const request = { developer: "github/bob", role: ROLE_OWNER };
    const scoped = withKey(await keyOf(owner, { scopes }));
    await expect(scoped.people.addPerson(request)).rejects.toMatchObject(DENIED);
    await withKey(await keyOf(owner)).people.addPerson(request);
    expect(await list()).toContainEqual(["github/bob", ROLE_OWNER]);
  });
});

describe("the last owner", () => {
  it("is neither removed nor given another role, by themselves either", async () => {
    await enter("github/bob", "admin");
    await allRefused(
      [
        owner.people.removePerson({ developer: "github/olga" }),
        owner.people.setPersonRole({ developer: "github/olga", role: ROLE_ADMIN }),
      ],
      {
        ...{ code: "FAILED_PRECONDITION", metadata: { developer: "github/olga" } },
      },
    );
    await owner.people.addPerson({ developer: "github/ines", role: ROLE_OWNER });
    await owner.people.removePerson({ developer: "github/olga" });
    await expect(owner.identity.getIdentity({})).rejects.toMatchObject(UNAUTHENTICATED);
  });

  it.each(["set-role", "remove"])(
    "is there after owners took the role from each other at once (%s)",
    async (how) => {
      const names = ["github/a", "github/b", "github/c", "github/d", "github/olga"];
      const clients = await Promise.all(names.map((name) => enter(name, "owner")));
      const outcomes = await Promise.allSettled(
        clients.map(({ people }, at) => {
          const developer = names[(at + 1) % names.length]!;
          return how === "remove"
            ? people.removePerson({ developer })
            : people.setPersonRole({ developer, role: ROLE_MEMBER });
        }),
      );
      const { rows } = await fleet.rotation.pool.query<{ developer: string }>(
        `select developer from rotation.people
         where tenant_id = $1 and role = 'owner' and removed_at is null`,
        [tenantId],
      );
      const done = outcomes.filter(({ status }) => status === "fulfilled").length;
      expect(rows.length).toBeGreaterThan(0);
      expect(rows).toHaveLength(names.length - done);
    },
  );
});

describe("whoever is removed", () => {
  const verify = async (value: string) => {
    const who = { key: fleet.catalog.rotationKey, service: "verifier", audience: "rotation" };
    const verifier = fleet.rotation.clients(serviceCredentials({ ...who, tenantId }));
    return verifier.credentials.verifyCredential({ value });
  };

  it("has no token, key or agent token that counts, from the answer on", async () => {
    const bob = await enter("github/bob", "admin");
    const key = await keyOf(bob);
    const token = await keyOf(bob, {
      kind: CredentialKind.CREDENTIAL_KIND_AGENT_TOKEN,
      agentName: "coder",
      label: "",
    });
    const { token: renewed } = await bob.identity.renewIdentityToken({});
    expect(await owner.people.removePerson({ developer: "github/bob" })).toEqual({
      ...{ revokedCredentials: 2, livingAgents: 0 },
    });
    for (const clients of [bob, withKey(key), withKey(renewed)])
      await allRefused(
        [
          clients.identity.getIdentity({}),
          clients.identity.renewIdentityToken({}),
          clients.credentials.createCredential(API_KEY),
        ],
        UNAUTHENTICATED,
      );
    for (const value of [key, token])
      expect((await verify(value)).fault).toBe(CredentialFault.CREDENTIAL_FAULT_REVOKED);
    expect(await list()).toEqual([["github/olga", ROLE_OWNER]]);
  });

  it("looks like whoever never was there", async () => {
    const bob = await enter("github/bob", "member");
    await owner.people.removePerson({ developer: "github/bob" });
    const strangers = [bob, withKey("x.y.z"), withKey("mur_key_none")];
    const seen = await Promise.all(
      strangers.map(({ agents }) =>
        agents.listAgents({ workspace: "", includeEnded: false, pageSize: 0, pageToken: "" }).then(
          () => "let in",
          (error: unknown) => JSON.stringify(error),
        ),
      ),
    );
    expect(new Set(seen).size).toBe(1);
    expect(seen[0]).toContain("UNAUTHENTICATED");
  });

  it("comes back as an owner says, without what they had before", async () => {
    const bob = await enter("github/bob", "admin");
    const key = await keyOf(bob);
    await owner.people.removePerson({ developer: "github/bob" });
    await owner.people.addPerson({ developer: "github/bob", role: ROLE_MEMBER });
    for (const clients of [bob, withKey(key)])
      await expect(clients.identity.getIdentity({})).rejects.toMatchObject(UNAUTHENTICATED);
    expect(await roleOf(await withToken("github/bob", "admin", -2))).toBe(ROLE_MEMBER);
  });

  it("does not come back by a token that an operator issues", async () => {
    await enter("github/bob", "admin");
    await owner.people.removePerson({ developer: "github/bob" });
    const again = await withToken("github/bob", "owner", -2);
    await expect(again.identity.getIdentity({})).rejects.toMatchObject(UNAUTHENTICATED);
  });

  it.each<[string, string, () => Promise<unknown>]>([
    [
      ...(["has been removed", "UNAUTHENTICATED"] as const),
      () => owner.people.removePerson({ developer: "github/bob" }),
    ],
    [
      ...(["has lost the role", "PERMISSION_DENIED"] as const),
      () => owner.people.setPersonRole({ developer: "github/bob", role: ROLE_MEMBER }),
    ],
  ])("makes no key when it %s since it was let in", async (_what, code, change) => {
    await enter("github/bob", "admin");
    await change();
    const developer = {
      ...{ kind: "developer" as const, tenantId, id: "github/bob", role: "admin" as const },
      ...{ firstIssuedAt: 0, expiresAt: undefined },
    };
    const deps = {
      ...{ pool: fleet.rotation.pool, people: postgresPersonStore, clock: systemClock },
      ...{ credentials: postgresCredentialStore, answers: postgresSealedAnswerStore },
    };
    const made = createCredential(
      deps,
      { developer, caller: { ...developer, peer: "" } },
      { ...API_KEY, kind: "api-key", requestId: sensitive("") },
    );
    await expect(made).rejects.toMatchObject({ code });
  });

  it("waits for a key that is being made, and revokes it", async () => {
    const bob = await enter("github/bob", "member");
    const making = Array.from({ length: 6 }, () => keyOf(bob).catch(() => undefined));
    await owner.people.removePerson({ developer: "github/bob" });
    for (const value of await Promise.all(making))
      if (value !== undefined) expect((await verify(value)).valid).toBe(false);
  });

  it("leaves agents that live, which the answer counts", async () => {
    fleet.catalog.workspaces.set(`${tenantId}/backend`, []);
    fleet.catalog.addVm(tenantId, "vm-1");
    const bob = await enter("github/bob", "member");
    await bob.agents.spawnAgent(spawnRequest({ workspace: "backend", slug: "his" }));
    const { livingAgents } = await owner.people.removePerson({ developer: "github/bob" });
    expect(livingAgents).toBe(1);
    await owner.agents.killAgent({ workspace: "backend", path: "his", callerAgentId: "" });
  });
});

it("people of another tenant are neither seen nor touched", async () => {
  const bob = await enter("github/bob", "owner");
  const here = tenantId;
  tenantId = `people-${++tenants}`;
  const stranger = await enter("github/olga", "owner");
  expect(await list(stranger)).toEqual([["github/olga", ROLE_OWNER]]);
  await expect(stranger.people.removePerson({ developer: "github/bob" })).rejects.toMatchObject({
    code: "NOT_FOUND",
  });
  await stranger.people.addPerson({ developer: "github/bob", role: ROLE_MEMBER });
  tenantId = here;
  expect(await roleOf(bob)).toBe(ROLE_OWNER);
});
