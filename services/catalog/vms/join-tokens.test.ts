import { randomBytes, verify } from "node:crypto";
import { deliveryKeyPin, joinTokenHash, parseJoinToken } from "../../../lib/identity/join-token";
import { joinBinding, trustBundleMessage } from "../../../lib/identity/signed-messages";
import { publicKeyFromRaw, rawPublicKey } from "../../../lib/identity/signing-key";
import { sensitive } from "../../../lib/sensitive";
import { generateIdentity, joinAs, joinRequest, renewRequest } from "./test-register";
import {
  REFUSED_JOIN,
  startRegisterReplicas,
  type RegisterReplicas,
} from "../../../test/harness/register-replicas";

let replicas: RegisterReplicas;
let database: RegisterReplicas["database"];
let register: RegisterReplicas["register"];
let other: RegisterReplicas["other"];
beforeAll(async () => {
  replicas = await startRegisterReplicas();
  ({ database, register, other } = replicas);
});
afterAll(() => replicas.stop());

describe("join tokens", () => {
  it("names the delivery key, lives 10 minutes, and is kept as a hash only", async () => {
    const developer = await register.developer();
    const { joinToken, expiresAt } = await developer.vms.issueJoinToken({ name: "build-1" });
    expect(joinToken).toMatch(/^mur_join_[\w-]{22}_[\w-]{43}_[\w-]{22}$/);
    const lifeMs = expiresAt!.getTime() - Date.now();
    expect(lifeMs).toBeGreaterThan(590_000);
    expect(lifeMs).toBeLessThan(601_000);
    const { rows } = await database.pool.query("select * from catalog.join_tokens");
    // By its place: base64url itself holds underscores.
    const secret = joinToken.slice(-(43 + 1 + 22), -(1 + 22));
    expect(JSON.stringify(rows)).not.toContain(secret);
    expect(rows).not.toHaveLength(0);
  });

  it("lets one machine in, which then is the VM of the name", async () => {
    const identity = generateIdentity();
    const joinToken = await replicas.issue("build-2");
    const joined = await register.connect().vms.joinVm(joinRequest(joinToken, identity));
    expect(joined).toMatchObject({ tenantId: "acme", name: "build-2" });
    const listed = await (
      await register.developer()
    ).vms.listVms({
      pageSize: 0,
      pageToken: "",
      name: "build-2",
    });
    expect(listed.vms).toMatchObject([{ vmId: joined.vmId, name: "build-2" }]);
  });

  it("answers the same machine again until it expires, and then no more", async () => {
    const identity = generateIdentity();
    const joinToken = await replicas.issue("build-3");
    const request = joinRequest(joinToken, identity);
    const first = await register.connect().vms.joinVm(request);
    const again = await other.connect().vms.joinVm(request);
    expect(again.vmId).toBe(first.vmId);
    const token = parseJoinToken(sensitive(joinToken))!;
    // Expiry is the database's; the MAC then no longer fits either, which looks the same.
    await database.pool.query(
      "update catalog.join_tokens set expires_at = clock_timestamp() - interval '1 s' where id = $1",
      [token.id],
    );
    await expect(register.connect().vms.joinVm(request)).rejects.toMatchObject(REFUSED_JOIN);
  });

  it("is refused to a second machine, which is audited and alarmed with both addresses", async () => {
    const joinToken = await replicas.issue("build-4");
    await register.connect().vms.joinVm(joinRequest(joinToken, generateIdentity()));
    const thief = joinRequest(joinToken, generateIdentity());
    await expect(register.connect().vms.joinVm(thief)).rejects.toMatchObject(REFUSED_JOIN);
    const alarm = replicas.logged.find(({ msg }) => msg === "join token used a second time");
    expect(alarm).toMatchObject({ level: "warn", name: "build-4", tenantId: "acme" });
    expect(alarm).toHaveProperty("peer", expect.stringContaining("127.0.0.1"));
    expect(alarm).toHaveProperty("firstUsedFrom", expect.stringContaining("127.0.0.1"));
    const rows = await replicas.audited("vm.join", "refused");
    expect(rows).toContainEqual(
      expect.objectContaining({
        tenant_id: "acme",
        object_id: parseJoinToken(sensitive(joinToken))!.id,
        peer: alarm!["peer"],
        detail: { why: "used", name: "build-4", first_used_from: alarm!["firstUsedFrom"] },
      }),
    );
  });

  it("lets in exactly one of twenty machines that use it at once, on two replicas", async () => {
    const joinToken = await replicas.issue("build-5");
    const attempts = Array.from({ length: 20 }, (_, at) =>
      (at % 2 ? register : other).connect().vms.joinVm(joinRequest(joinToken, generateIdentity())),
    );
    const outcomes = await Promise.allSettled(attempts);
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  });

  it("ends the earlier unused token of its name", async () => {
    const earlier = await replicas.issue("build-6");
    const later = await replicas.issue("build-6");
    const join = (token: string) =>
      register.connect().vms.joinVm(joinRequest(token, generateIdentity()));
    await expect(join(earlier)).rejects.toMatchObject(REFUSED_JOIN);
    await expect(join(later)).resolves.toMatchObject({ name: "build-6" });
  });

  it("is refused alike when it is unknown, garbled, cut or has another secret", async () => {
    const joinToken = await replicas.issue("build-7");
    const [, , , secret = ""] = /^(mur_join)_(.{22})_(.{43})/.exec(joinToken)!;
    const wrong = [
      "",
      "mur_join_",
      joinToken.slice(0, -1),
      `${joinToken}A`,
      joinToken.replace(secret, randomBytes(32).toString("base64url")),
      joinToken.replace("mur_join", "mur_agt"),
      "x".repeat(10_000),
      `${joinToken}\0`,
    ];
    for (const text of wrong) {
      const attempt = register.connect().vms.joinVm(joinRequest(text, generateIdentity()));
      await expect(attempt).rejects.toMatchObject(REFUSED_JOIN);
    }
  });

  it("is not used up by a call with a bad key or signature", async () => {
    const joinToken = await replicas.issue("build-8");
    const identity = generateIdentity();
    const good = joinRequest(joinToken, identity);
    const { vms } = register.connect();
    const bad = [
      [{ ...good, identityPublicKey: Buffer.alloc(0) }, "identity_public_key"],
      [{ ...good, identityPublicKey: Buffer.alloc(31, 1) }, "identity_public_key"],
      [{ ...good, identityPublicKey: Buffer.alloc(33, 1) }, "identity_public_key"],
      [{ ...good, signature: Buffer.alloc(0) }, "signature"],
      [{ ...good, signature: Buffer.alloc(64) }, "signature"],
      [{ ...good, signature: good.signature.subarray(1) }, "signature"],
      [{ ...good, identityPublicKey: rawPublicKey(generateIdentity().publicKey) }, "signature"],
    ] as const;
    for (const [request, field] of bad) {
      await expect(vms.joinVm(request)).rejects.toMatchObject({
        code: "INVALID_ARGUMENT",
        metadata: { field },
      });
    }
    await expect(vms.joinVm(good)).resolves.toMatchObject({ name: "build-8" });
  });

  it("that was planted in the database lets nobody in", async () => {
    const joinToken = await replicas.issue("build-9");
    // Everything that a writer of the database can do with a token that they made themselves.
    const { rows } = await database.pool.query<{ id: string }>(
      `insert into catalog.join_tokens
       select tenant_id, 'planted-planted-plante', token_hash, 'other-name', issued_by, issued_at,
         expires_at, data_key_id, mac from catalog.join_tokens where id = $1 returning id`,
      [parseJoinToken(sensitive(joinToken))!.id],
    );
    const planted = joinToken.replace(parseJoinToken(sensitive(joinToken))!.id, rows[0]!.id);
    await database.pool.query("update catalog.join_tokens set token_hash = $2 where id = $1", [
      rows[0]!.id,
      joinTokenHash(sensitive(planted)),
    ]);
    const attempt = register.connect().vms.joinVm(joinRequest(planted, generateIdentity()));
    await expect(attempt).rejects.toMatchObject(REFUSED_JOIN);
    expect(replicas.logged).toContainEqual(
      expect.objectContaining({ level: "error", why: "tampered" }),
    );
  });

  it("is for admins of a tenant only", async () => {
    const member = await register.developer("acme", "member");
    const issued = member.vms.issueJoinToken({ name: "build-1" });
    await expect(issued).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
    const nobody = register.connect().vms.issueJoinToken({ name: "build-1" });
    await expect(nobody).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
  });

  it.each(["", "Build", "a_b", "-a", "x".repeat(64), "a.b", "a\0"])(
    "refuses %j as a VM's name, naming the field",
    async (name) => {
      const developer = await register.developer();
      await expect(developer.vms.issueJoinToken({ name })).rejects.toMatchObject({
        code: "INVALID_ARGUMENT",
        metadata: { field: "name" },
      });
    },
  );
});

describe("a VM that joins again", () => {
  it("keeps its id under its name, and the lost key has ended on every replica", async () => {
    const first = await joinAs(register, "rejoin-1");
    const second = await joinAs(register, "rejoin-1");
    expect(second.joined.vmId).toBe(first.joined.vmId);
    const { vms } = other.connect();
    const { vmId } = first.joined;
    await expect(vms.renewVmToken(renewRequest(vmId, first.identity))).rejects.toMatchObject({
      code: "UNAUTHENTICATED",
    });
    await expect(vms.renewVmToken(renewRequest(vmId, second.identity))).resolves.toBeDefined();
  });

  it("does not touch the VM of the same name in another tenant", async () => {
    const ours = await joinAs(register, "shared-name", "acme");
    const theirs = await joinAs(register, "shared-name", "umbrella");
    expect(theirs.joined.vmId).not.toBe(ours.joined.vmId);
    const { vms } = register.connect();
    await expect(
      vms.renewVmToken(renewRequest(ours.joined.vmId, ours.identity)),
    ).resolves.toMatchObject({ tenantId: "acme" });
  });
});

describe("the trust bundle", () => {
  it("is signed by the key that the join token pins, for this join", async () => {
    const vm = await joinAs(register, "trust-1");
    const { trustBundle, vmId, tenantId, name } = vm.joined;
    const { deliveryPublicKeys, signingPublicKey, signature } = trustBundle!;
    const token = parseJoinToken(sensitive(vm.joinToken))!;
    expect(deliveryKeyPin(signingPublicKey)).toEqual(token.pin);
    const binding = joinBinding(sensitive(vm.joinToken));
    const message = trustBundleMessage({ vmId, tenantId, name, binding, deliveryPublicKeys });
    expect(verify(null, message, publicKeyFromRaw(signingPublicKey), signature)).toBe(true);
  });
});
