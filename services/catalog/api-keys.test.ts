import { SecretDelivery } from "../../gen/murmur/catalog/v1/secrets";
import { Role } from "../../gen/murmur/rotation/v1/identity";
import { openChannel, type Channel } from "../../lib/grpc/client";
import { bearerCredentials } from "../../lib/identity/credentials";
import { sensitive } from "../../lib/sensitive";
import { eventually } from "../../test/harness/eventually";
import { startCatalog, type TestCatalog } from "../../test/harness/catalog";
import { type CredentialIssuer, startCredentialIssuer } from "../../test/harness/credentials";
import { createTestKeyProvider } from "../../test/harness/key-provider";
import { createTestDatabase, type TestDatabase } from "../../test/harness/postgres";
import type { RotationClients } from "../../test/harness/rotation";
import { startTcpProxy, type TcpProxy } from "../../test/harness/tcp-proxy";

const REFUSED = { code: "UNAUTHENTICATED", message: "identity token is missing or expired" };

describe("the catalog, presented with an API key", () => {
  let issuer: CredentialIssuer;
  let proxy: TcpProxy;
  let rotation: Channel;
  let database: TestDatabase;
  let catalog: TestCatalog;
  let owner: ReturnType<CredentialIssuer["developer"]>;

  beforeAll(async () => {
    issuer = await startCredentialIssuer();
    owner = issuer.developer("github/alice", "owner");
    const [host = "", port] = issuer.rotation.address.split(":");
    proxy = await startTcpProxy({ host, port: Number(port) });
    rotation = openChannel({ address: `127.0.0.1:${proxy.port}` });
    database = await createTestDatabase("catalog");
    const { rotationKey, catalogKey } = issuer.catalog;
    const keyProvider = createTestKeyProvider();
    catalog = await startCatalog({
      beside: { database, rotationKey, catalogKey, keyProvider },
      rotation,
    });
  });
  afterAll(async () => {
    await catalog.stop();
    await database.drop();
    rotation.close();
    await proxy.close();
    await issuer.stop();
  });

  const by = (value: string) => catalog.clients(bearerCredentials(sensitive(value)));
  const list = (value: string) => by(value).secrets.listSecrets({ pageSize: 0, pageToken: "" });
  const set = (value: string, name = "A") =>
    by(value).secrets.setSecret({
      ...{ name, plaintextValue: Buffer.from("1"), createdAt: undefined, requestId: "" },
      delivery: SecretDelivery.SECRET_DELIVERY_UNSPECIFIED,
    });

  it("lets its owner in, with the role that it was made with", async () => {
    const { value } = await issuer.create(owner);
    await set(value);
    expect((await list(value)).secrets).toMatchObject([{ name: "A", updatedBy: "github/alice" }]);
    const member = await issuer.create(issuer.developer("github/bob"));
    expect((await list(member.value)).secrets).toHaveLength(1);
    await expect(set(member.value)).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
  });

  it("names the key beside its owner in the audit of whatever is done by it", async () => {
    const { value, credential } = await issuer.create(owner);
    const { secrets, workspaces, users } = by(value);
    await Promise.all(["B", "C"].map((name) => set(value, name)));
    await secrets.deleteSecret({ name: "B" });
    await secrets.revokeSecret({ name: "C" });
    await workspaces.setWorkspace({ name: "w", secretRefs: undefined, vms: [] });
    await workspaces.deleteWorkspace({ name: "w" });
    await users.setUser({ name: "github/bob", githubTokenSecret: "" });
    await users.deleteUser({ name: "github/bob" });
    await by(value).vms.issueJoinToken({ name: "vm-9" });
    const { rows } = await database.pool.query<{ action: string }>(
      "select action from catalog.audit where actor_id = 'github/alice' and detail->>'api_key' = $1",
      [credential.credentialId],
    );
    expect(rows.map(({ action }) => action).sort()).toEqual([
      ...["secret.delete", "secret.revoke", "secret.set", "secret.set", "user.delete", "user.set"],
      ...["vm.join-token", "workspace.delete", "workspace.set"],
    ]);
  });

  it("lets it do what its scopes say", async () => {
    const scopes = ["murmur.catalog.v1.SecretService/ListSecrets"];
    const { value } = await issuer.create(owner, { scopes });
    await list(value);
    await expect(set(value)).rejects.toMatchObject({
      message: "the scopes of the API key do not include this method",
    });
  });

  it("refuses one that never was, or is over, in the same words", async () => {
    const { value, credential } = await issuer.create(owner);
    const { credentialId } = credential;
    await owner.revokeCredential({ credentialId, at: undefined });
    const tooLong = `mur_key_${"x".repeat(600)}`;
    for (const text of [value, value.replace("key", "agt"), "mur_key_", tooLong])
      await expect(list(text)).rejects.toMatchObject(REFUSED);
  });

  it("names whose it was in the audit of what it was refused for, and says so to nobody", async () => {
    const ended = await issuer.create(owner);
    await owner.revokeCredential({ credentialId: ended.credential.credentialId, at: undefined });
    const narrow = await issuer.create(owner, {
      scopes: ["murmur.catalog.v1.SecretService/ListSecrets"],
    });
    const member = await issuer.create(issuer.developer("github/bob"));
    for (let n = 0; n < 2; n++) await expect(list(ended.value)).rejects.toMatchObject(REFUSED);
    for (const { value } of [narrow, member])
      await expect(set(value)).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
    const idOf = ({ credential }: { credential: { credentialId: string } }) =>
      credential.credentialId;
    const refused = async (made: { credential: { credentialId: string } }) => {
      const { rows } = await database.pool.query(
        `select tenant_id, actor_kind, actor_id, sum((detail->>'count')::int)::int as count,
           detail - 'count' - 'api_key' as detail
         from catalog.audit where outcome = 'refused' and detail->>'api_key' = $1
         group by 1, 2, 3, 5`,
        [idOf(made)],
      );
      return rows;
    };
    const by = (id: string) => ({ tenant_id: "t1", actor_kind: "developer", actor_id: id });
    await eventually(async () => {
      expect(await refused(ended)).toEqual([
        { ...by("github/alice"), count: 2, detail: { why: "revoked" } },
      ]);
      expect(await refused(narrow)).toEqual([
        { ...by("github/alice"), count: 1, detail: { why: "scope" } },
      ]);
      expect(await refused(member)).toEqual([{ ...by("github/bob"), count: 1, detail: {} }]);
    });
  });

  it("lets nobody in by one while rotation is away", async () => {
    const { value } = await issuer.create(owner);
    proxy.cut();
    await expect(list(value)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    proxy.heal();
  });

  describe("or with an identity token", () => {
    let people: RotationClients["people"];
    let names = 0;

    beforeAll(async () => {
      const token = bearerCredentials(sensitive(await issuer.token("github/alice")));
      ({ people } = issuer.rotation.clients(token));
    });
    const enter = async (role: Role) => {
      const developer = `github/person-${++names}`;
      await people.addPerson({ developer, role });
      // Whatever it says of the role.
      return { developer, token: await issuer.token(developer) };
    };

    it("goes by the role that the person has, not by the token's", async () => {
      const { token } = await enter(Role.ROLE_MEMBER);
      await list(token);
      await expect(set(token)).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
    });

    it("feels a lesser role, and a greater one", async () => {
      const { developer, token } = await enter(Role.ROLE_ADMIN);
      await set(token);
      await people.setPersonRole({ developer, role: Role.ROLE_MEMBER });
      await eventually(() =>
        expect(set(token)).rejects.toMatchObject({ code: "PERMISSION_DENIED" }),
      );
      await people.setPersonRole({ developer, role: Role.ROLE_ADMIN });
      await eventually(() => set(token));
    });

    it("lets nobody in who was removed, in the words for strangers, nor by that token again", async () => {
      const { developer, token } = await enter(Role.ROLE_OWNER);
      await list(token);
      await people.removePerson({ developer });
      await eventually(() => expect(list(token)).rejects.toMatchObject(REFUSED));
      await eventually(async () => {
        const { rows } = await database.pool.query(
          `select from catalog.audit where tenant_id = 't1' and actor_id = $1
             and outcome = 'refused' and detail->>'why' = 'not let in'`,
          [developer],
        );
        expect(rows.length).toBeGreaterThan(0);
      });
      await people.addPerson({ developer, role: Role.ROLE_OWNER });
      await expect(list(token)).rejects.toMatchObject(REFUSED);
    });

    it("brings in whom an operator's token names, from where they called", async () => {
      const token = await issuer.token("github/newcomer");
      await set(token, "NEW");
      const { rows } = await issuer.rotation.pool.query<{ peer: string }>(
        "select peer from rotation.audit where action = 'person.introduce' and actor_id = $1",
        ["github/newcomer"],
      );
      expect(rows).toHaveLength(1);
      expect(rows[0]?.peer).toMatch(/^127\.0\.0\.1:\d+$/);
    });

    it("lets nobody in while rotation is away, and everybody when it is back", async () => {
      const { token } = await enter(Role.ROLE_MEMBER);
      proxy.cut();
      await expect(list(token)).rejects.toMatchObject({ code: "UNAVAILABLE" });
      proxy.heal();
      await eventually(() => list(token));
    });
  });
});
