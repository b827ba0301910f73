import { CredentialFault, CredentialKind } from "../../../gen/murmur/rotation/v1/credentials";
import { Role } from "../../../gen/murmur/rotation/v1/identity";
import { systemClock } from "../../../lib/clock";
import { serviceCredentials } from "../../../lib/identity/credentials";
import { sensitive } from "../../../lib/sensitive";
import { spawnRequest } from "../../../test/fakes/scripted-vm";
import { API_KEY } from "../../../test/harness/credentials";
import { roleOf, usePeople } from "../../../test/harness/people";
import { allRefused } from "../../../test/harness/refusals";
import { createCredential } from "../credentials/issue-credential";
import { postgresCredentialStore } from "../credentials/store/postgres-credential-store";
import { postgresSealedAnswerStore } from "../credentials/store/postgres-sealed-answer-store";
import { postgresPersonStore } from "./store/postgres-person-store";

const { ROLE_MEMBER, ROLE_ADMIN, ROLE_OWNER } = Role;
const UNAUTHENTICATED = {
  ...{ code: "UNAUTHENTICATED", message: "identity token is missing or expired" },
};

const rig = usePeople();
const { enter, keyOf, list, withKey, withToken } = rig;

describe("the last owner", () => {
  it("is neither removed nor given another role, by themselves either", async () => {
    await enter("github/bob", "admin");
    await allRefused(
      [
        rig.owner.people.removePerson({ developer: "github/olga" }),
        rig.owner.people.setPersonRole({ developer: "github/olga", role: ROLE_ADMIN }),
      ],
      {
        ...{ code: "FAILED_PRECONDITION", metadata: { developer: "github/olga" } },
      },
    );
    await rig.owner.people.addPerson({ developer: "github/ines", role: ROLE_OWNER });
    await rig.owner.people.removePerson({ developer: "github/olga" });
    await expect(rig.owner.identity.getIdentity({})).rejects.toMatchObject(UNAUTHENTICATED);
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
      const { rows } = await rig.fleet.rotation.pool.query<{ developer: string }>(
        `select developer from rotation.people
         where tenant_id = $1 and role = 'owner' and removed_at is null`,
        [rig.tenantId],
      );
      const done = outcomes.filter(({ status }) => status === "fulfilled").length;
      expect(rows.length).toBeGreaterThan(0);
      expect(rows).toHaveLength(names.length - done);
    },
  );
});

describe("whoever is removed", () => {
  const verify = async (value: string) => {
    const who = { key: rig.fleet.catalog.rotationKey, service: "verifier", audience: "rotation" };
    const verifier = rig.fleet.rotation.clients(
      serviceCredentials({ ...who, tenantId: rig.tenantId }),
    );
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
    expect(await rig.owner.people.removePerson({ developer: "github/bob" })).toEqual({
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
    await rig.owner.people.removePerson({ developer: "github/bob" });
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
    await rig.owner.people.removePerson({ developer: "github/bob" });
    await rig.owner.people.addPerson({ developer: "github/bob", role: ROLE_MEMBER });
    for (const clients of [bob, withKey(key)])
      await expect(clients.identity.getIdentity({})).rejects.toMatchObject(UNAUTHENTICATED);
    expect(await roleOf(await withToken("github/bob", "admin", -2))).toBe(ROLE_MEMBER);
  });

  it("does not come back by a token that an operator issues", async () => {
    await enter("github/bob", "admin");
    await rig.owner.people.removePerson({ developer: "github/bob" });
    const again = await withToken("github/bob", "owner", -2);
    await expect(again.identity.getIdentity({})).rejects.toMatchObject(UNAUTHENTICATED);
  });

  it.each<[string, string, () => Promise<unknown>]>([
    [
      ...(["has been removed", "UNAUTHENTICATED"] as const),
      () => rig.owner.people.removePerson({ developer: "github/bob" }),
    ],
    [
      ...(["has lost the role", "PERMISSION_DENIED"] as const),
      () => rig.owner.people.setPersonRole({ developer: "github/bob", role: ROLE_MEMBER }),
    ],
  ])("makes no key when it %s since it was let in", async (_what, code, change) => {
    await enter("github/bob", "admin");
    await change();
    const developer = {
      ...{
        kind: "developer" as const,
        tenantId: rig.tenantId,
        id: "github/bob",
        role: "admin" as const,
      },
      ...{ firstIssuedAt: 0, expiresAt: undefined },
    };
    const deps = {
      ...{ pool: rig.fleet.rotation.pool, people: postgresPersonStore, clock: systemClock },
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
    await rig.owner.people.removePerson({ developer: "github/bob" });
    for (const value of await Promise.all(making))
      if (value !== undefined) expect((await verify(value)).valid).toBe(false);
  });

  it("leaves agents that live, which the answer counts", async () => {
    rig.fleet.catalog.workspaces.set(`${rig.tenantId}/backend`, []);
    rig.fleet.catalog.addVm(rig.tenantId, "vm-1");
    const bob = await enter("github/bob", "member");
    await bob.agents.spawnAgent(spawnRequest({ workspace: "backend", slug: "his" }));
    const { livingAgents } = await rig.owner.people.removePerson({ developer: "github/bob" });
    expect(livingAgents).toBe(1);
    await rig.owner.agents.killAgent({ workspace: "backend", path: "his", callerAgentId: "" });
  });
});
