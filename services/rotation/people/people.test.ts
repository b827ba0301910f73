import { Role } from "../../../gen/murmur/rotation/v1/identity";
import { systemClock } from "../../../lib/clock";
import { bearerCredentials } from "../../../lib/identity/credentials";
import type { Role as RoleName } from "../../../lib/identity/principal";
import { sensitive } from "../../../lib/sensitive";
import { API_KEY } from "../../../test/harness/credentials";
import { roleOf, usePeople } from "../../../test/harness/people";
import { allRefused } from "../../../test/harness/refusals";
import { type RotationClients, startRotation } from "../../../test/harness/rotation";
import { setPersonRole } from "./change-people";
import { postgresPersonStore } from "./store/postgres-person-store";

const { ROLE_MEMBER, ROLE_ADMIN, ROLE_OWNER } = Role;
const UNAUTHENTICATED = {
  ...{ code: "UNAUTHENTICATED", message: "identity token is missing or expired" },
};
const DENIED = { code: "PERMISSION_DENIED" };

const rig = usePeople();
const { enter, keyOf, list, tokenOf, withKey, withToken } = rig;
const audited = async () => {
  const { rows } = await rig.fleet.rotation.pool.query<{ action: string; object_id: string }>(
    `select actor_id, action, object_id, detail from rotation.audit
     where tenant_id = $1 and object_kind = 'person' order by id`,
    [rig.tenantId],
  );
  return rows;
};

describe("the people of a tenant", () => {
  it("are added by an rig.owner, listed by anybody, and get the role that they have", async () => {
    const added = await rig.owner.people.addPerson({ developer: "github/bob", role: ROLE_ADMIN });
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
    const other = await startRotation({ catalog: rig.fleet.catalog, beside: rig.fleet.rotation });
    try {
      const token = await tokenOf("github/bob", "admin");
      const replicas = [rig.fleet.rotation, other].map((it) =>
        it.clients(bearerCredentials(sensitive(token))),
      );
      const rolesOf = () => Promise.all(replicas.map(roleOf));
      await rolesOf();
      for (const role of [ROLE_OWNER, ROLE_MEMBER, ROLE_ADMIN]) {
        const progress = { isChanged: false };
        const setting = rig.owner.people
          .setPersonRole({ developer: "github/bob", role })
          .finally(() => (progress.isChanged = true));
        // Whoever is asked about all the time is answered for from memory.
        while (!progress.isChanged) await rolesOf();
        expect(await rolesOf()).toEqual([role, role]);
        await setting;
      }
      await rig.owner.people.removePerson({ developer: "github/bob" });
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
    await rig.owner.people.addPerson(request);
    await rig.owner.people.addPerson(request);
    await expect(
      rig.owner.people.addPerson({ ...request, role: ROLE_ADMIN }),
    ).rejects.toMatchObject({
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
    await expect(call(rig.owner.people)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  it("are listed page by page", async () => {
    for (const name of ["a", "b", "c"])
      await rig.owner.people.addPerson({ developer: `x/${name}`, role: ROLE_MEMBER });
    const first = await rig.owner.people.listPeople({ pageSize: 3, pageToken: "" });
    const rest = await rig.owner.people.listPeople({ pageSize: 3, pageToken: first.nextPageToken });
    expect([...first.people, ...rest.people].map(({ developer }) => developer)).toEqual([
      ...["github/olga", "x/a", "x/b", "x/c"],
    ]);
    expect(rest.nextPageToken).toBe("");
  });

  it("that never were, or were removed, are not found", async () => {
    await enter("github/bob", "member");
    await rig.owner.people.removePerson({ developer: "github/bob" });
    for (const developer of ["github/bob", "github/nobody"])
      await allRefused(
        [
          rig.owner.people.removePerson({ developer }),
          rig.owner.people.setPersonRole({ developer, role: ROLE_ADMIN }),
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
    await rig.owner.people.setPersonRole({ developer: "github/bob", role: ROLE_MEMBER });
    expect(await roleOf(bob)).toBe(ROLE_MEMBER);
    expect(await roleOf(withKey(key))).toBe(ROLE_MEMBER);
    const { token } = await bob.identity.renewIdentityToken({});
    expect(await roleOf(withKey(token))).toBe(ROLE_MEMBER);
    await rig.owner.people.setPersonRole({ developer: "github/bob", role: ROLE_OWNER });
    expect(await roleOf(bob)).toBe(ROLE_OWNER);
  });

  it("of a key is never more than it was made with, nor more than its owner's", async () => {
    const bob = await enter("github/bob", "member");
    const asMember = await keyOf(bob);
    await rig.owner.people.setPersonRole({ developer: "github/bob", role: ROLE_OWNER });
    expect(await roleOf(withKey(asMember))).toBe(ROLE_MEMBER);
    const asOwner = await keyOf(bob);
    await rig.owner.people.setPersonRole({ developer: "github/bob", role: ROLE_ADMIN });
    expect(await roleOf(withKey(asOwner))).toBe(ROLE_ADMIN);
    const { credentials } = await bob.credentials.listCredentials({
      ...{ kind: API_KEY.kind, includeEnded: false, pageSize: 0, pageToken: "" },
    });
    expect(credentials.map(({ role }) => role)).toEqual([ROLE_ADMIN, ROLE_MEMBER]);
  });

  it("of a key's successor is what the key had then, for good", async () => {
    const bob = await enter("github/bob", "owner");
    const made = await bob.credentials.createCredential(API_KEY);
    await rig.owner.people.setPersonRole({ developer: "github/bob", role: ROLE_MEMBER });
    const credentialId = made.credential?.credentialId ?? "";
    const rotated = await bob.credentials.rotateCredential({
      ...{ credentialId, graceSeconds: 0, requestId: "" },
    });
    await rig.owner.people.setPersonRole({ developer: "github/bob", role: ROLE_OWNER });
    expect(await roleOf(withKey(rotated.value))).toBe(ROLE_MEMBER);
  });

  it("is granted by nobody who has just stopped being an owner", async () => {
    const pool = rig.fleet.rotation.pool;
    // Let in as an owner before, and here after, the change that another made.
    const late = {
      tenantId: rig.tenantId,
      kind: "developer" as const,
      id: "github/late",
      peer: "",
    };
    await enter("github/late", "owner");
    await rig.owner.people.setPersonRole({ developer: "github/late", role: ROLE_ADMIN });
    const wish = { developer: "github/olga", role: "member" as const };
    await expect(
      setPersonRole({ pool, people: postgresPersonStore, clock: systemClock }, late, wish),
    ).rejects.toMatchObject(DENIED);
    expect(await list()).toContainEqual(["github/olga", ROLE_OWNER]);
  });

  it("is granted by an owner's key within its scopes", async () => {
    const scopes = ["murmur.rotation.v1.PeopleService/ListPeople"];
    const request = { developer: "github/bob", role: ROLE_OWNER };
    const scoped = withKey(await keyOf(rig.owner, { scopes }));
    await expect(scoped.people.addPerson(request)).rejects.toMatchObject(DENIED);
    await withKey(await keyOf(rig.owner)).people.addPerson(request);
    expect(await list()).toContainEqual(["github/bob", ROLE_OWNER]);
  });
});

it("people of another tenant are neither seen nor touched", async () => {
  const bob = await enter("github/bob", "owner");
  const goBack = rig.newTenant();
  const stranger = await enter("github/olga", "owner");
  expect(await list(stranger)).toEqual([["github/olga", ROLE_OWNER]]);
  await expect(stranger.people.removePerson({ developer: "github/bob" })).rejects.toMatchObject({
    code: "NOT_FOUND",
  });
  await stranger.people.addPerson({ developer: "github/bob", role: ROLE_MEMBER });
  goBack();
  expect(await roleOf(bob)).toBe(ROLE_OWNER);
});
