import { SecretDelivery } from "../../gen/murmur/catalog/v1/secrets";
import { openChannel, type Channel } from "../../lib/grpc/client";
import { bearerCredentials } from "../../lib/identity/credentials";
import { sensitive } from "../../lib/sensitive";
import { startCatalog, type TestCatalog } from "../../test/harness/catalog";
import { type CredentialIssuer, startCredentialIssuer } from "../../test/harness/credentials";
import { createTestKeyProvider } from "../../test/harness/key-provider";
import { createTestDatabase, type TestDatabase } from "../../test/harness/postgres";
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

  it("lets nobody in by one while rotation is away", async () => {
    const { value } = await issuer.create(owner);
    proxy.cut();
    await expect(list(value)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    const token = await issuer.token("github/alice");
    await by(token).secrets.listSecrets({ pageSize: 0, pageToken: "" });
    proxy.heal();
  });
});
