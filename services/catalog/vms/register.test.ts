import { randomBytes, verify } from "node:crypto";
import { FakeClock } from "../../../test/fakes/fake-clock";
import { createTestDatabase, type TestDatabase } from "../../../test/harness/postgres";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { deliveryKeyPin, joinTokenHash, parseJoinToken } from "../../../lib/identity/join-token";
import { trustBundleMessage, joinBinding } from "../../../lib/identity/signed-messages";
import { publicKeyFromRaw, rawPublicKey, thumbprint } from "../../../lib/identity/signing-key";
import { createLog } from "../../../lib/log";
import { sensitive } from "../../../lib/sensitive";
import {
  createMemoryTenantKeys,
  createRegisterKeys,
  generateIdentity,
  joinAs,
  joinRequest,
  renewRequest,
  startTestRegister,
  type TestRegister,
} from "./test-register";

let database: TestDatabase;
let register: TestRegister;
let other: TestRegister;
const logged: Record<string, unknown>[] = [];
const keys = { ...createRegisterKeys(), tenantKeys: createMemoryTenantKeys() };

beforeAll(async () => {
  database = await createTestDatabase("catalog");
  const write = (line: string) => logged.push(JSON.parse(line) as Record<string, unknown>);
  const log = createLog("catalog", "info", { write });
  register = await startTestRegister({ pool: database.pool, keys, log });
  other = await startTestRegister({ pool: database.pool, keys });
});
afterAll(async () => {
  await register.stop();
  await other.stop();
  await database.drop();
});

const issue = async (name: string, tenantId = "acme") =>
  (await (await register.developer(tenantId)).vms.issueJoinToken({ name })).joinToken;
const refusedJoin = {
  code: "PERMISSION_DENIED",
  reason: ErrorReason.ERROR_REASON_JOIN_TOKEN_REFUSED,
  message: "join token was used, has expired, or never was",
};
const audited = async (action: string, outcome: string) =>
  (
    await database.pool.query<{
      tenant_id: string;
      object_id: string;
      detail: object;
      peer: string;
    }>(
      "select tenant_id, object_id, detail, peer from catalog.audit where action = $1 and outcome = $2 order by id",
      [action, outcome],
    )
  ).rows;

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
    const joinToken = await issue("build-2");
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
    const joinToken = await issue("build-3");
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
    await expect(register.connect().vms.joinVm(request)).rejects.toMatchObject(refusedJoin);
  });

  it("is refused to a second machine, which is audited and alarmed with both addresses", async () => {
    const joinToken = await issue("build-4");
    await register.connect().vms.joinVm(joinRequest(joinToken, generateIdentity()));
    const thief = joinRequest(joinToken, generateIdentity());
    await expect(register.connect().vms.joinVm(thief)).rejects.toMatchObject(refusedJoin);
    const alarm = logged.find(({ msg }) => msg === "join token used a second time");
    expect(alarm).toMatchObject({ level: "warn", name: "build-4", tenantId: "acme" });
    expect(alarm).toHaveProperty("peer", expect.stringContaining("127.0.0.1"));
    expect(alarm).toHaveProperty("firstUsedFrom", expect.stringContaining("127.0.0.1"));
    const rows = await audited("vm.join", "refused");
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
    const joinToken = await issue("build-5");
    const attempts = Array.from({ length: 20 }, (_, at) =>
      (at % 2 ? register : other).connect().vms.joinVm(joinRequest(joinToken, generateIdentity())),
    );
    const outcomes = await Promise.allSettled(attempts);
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  });

  it("ends the earlier unused token of its name", async () => {
    const earlier = await issue("build-6");
    const later = await issue("build-6");
    const join = (token: string) =>
      register.connect().vms.joinVm(joinRequest(token, generateIdentity()));
    await expect(join(earlier)).rejects.toMatchObject(refusedJoin);
    await expect(join(later)).resolves.toMatchObject({ name: "build-6" });
  });

  it("is refused alike when it is unknown, garbled, cut or has another secret", async () => {
    const joinToken = await issue("build-7");
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
      await expect(attempt).rejects.toMatchObject(refusedJoin);
    }
  });

  it("is not used up by a call with a bad key or signature", async () => {
    const joinToken = await issue("build-8");
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
    const joinToken = await issue("build-9");
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
    await expect(attempt).rejects.toMatchObject(refusedJoin);
    expect(logged).toContainEqual(expect.objectContaining({ level: "error", why: "tampered" }));
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

describe("renewal", () => {
  it("gives the holder of the key a token of 5 minutes, as often as asked", async () => {
    const vm = await joinAs(register, "renew-1");
    for (const { connect } of [register, other, register]) {
      const beforeMs = Date.now();
      const renewed = await connect().vms.renewVmToken(renewRequest(vm.joined.vmId, vm.identity));
      const expiresMs = renewed.vmTokenExpiresAt!.getTime();
      // Tokens tell times in whole seconds.
      expect(expiresMs).toBeGreaterThan(beforeMs + 298_000);
      expect(expiresMs).toBeLessThan(Date.now() + 302_000);
      expect(renewed).toMatchObject({ tenantId: "acme", name: "renew-1" });
    }
  });

  it("refuses unknown and removed VMs, wrong keys, stale times and garbage alike, with its time", async () => {
    const vm = await joinAs(register, "renew-2");
    const gone = await joinAs(register, "renew-3");
    await (await register.developer()).vms.removeVm({ name: "renew-3" });
    const { vmId } = vm.joined;
    const good = renewRequest(vmId, vm.identity);
    const minutes = (count: number) => new Date(Date.now() + count * 60_000);
    const bad = [
      renewRequest("00000000-0000-4000-8000-000000000000", vm.identity),
      renewRequest(gone.joined.vmId, gone.identity),
      renewRequest(vmId, generateIdentity()),
      renewRequest(vmId, vm.identity, minutes(-6)),
      renewRequest(vmId, vm.identity, minutes(6)),
      { ...good, vmId: "" },
      { ...good, vmId: `${vmId}\0` },
      { ...good, nonce: Buffer.alloc(0) },
      { ...good, nonce: Buffer.alloc(17) },
      { ...good, nonce: randomBytes(16) },
      { ...good, signature: Buffer.alloc(0) },
      { ...good, signature: Buffer.alloc(64, 7) },
      { ...good, signedAt: undefined },
      { ...good, signedAt: minutes(1) },
    ];
    const { vms } = register.connect();
    for (const request of bad) {
      const refused: unknown = await vms.renewVmToken(request).catch((error: unknown) => error);
      expect(refused).toMatchObject({
        code: "UNAUTHENTICATED",
        message: "VM is unknown, or its signature or time is wrong",
        metadata: { server_time_ms: expect.stringMatching(/^\d{13}$/) as string },
      });
    }
    await expect(vms.renewVmToken(good)).resolves.toMatchObject({ name: "renew-2" });
  });

  it("takes a signature once", async () => {
    const vm = await joinAs(register, "renew-4");
    const request = renewRequest(vm.joined.vmId, vm.identity);
    await register.connect().vms.renewVmToken(request);
    const replayed = register.connect().vms.renewVmToken(request);
    await expect(replayed).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
  });

  it("refuses a signature up to the moment at which its time is too old anyway", async () => {
    const clock = new FakeClock(new Date());
    const timed = await startTestRegister({ pool: database.pool, keys, clock });
    try {
      const vm = await joinAs(timed, "renew-5");
      const early = new Date(clock.now().getTime() + 299_000);
      const request = renewRequest(vm.joined.vmId, vm.identity, early);
      const { vms } = timed.connect();
      await vms.renewVmToken(request);
      for (let minute = 1; minute <= 12; minute++) {
        await clock.advance(60_000);
        await expect(vms.renewVmToken(request)).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
      }
      const fresh = renewRequest(vm.joined.vmId, vm.identity, clock.now());
      await expect(vms.renewVmToken(fresh)).resolves.toBeDefined();
    } finally {
      await timed.stop();
    }
  });

  it("audits the use of a VM's name without its key, at most once a minute", async () => {
    const vm = await joinAs(register, "renew-6");
    const attack = () =>
      register.connect().vms.renewVmToken(renewRequest(vm.joined.vmId, generateIdentity()));
    for (let count = 0; count < 3; count++) await expect(attack()).rejects.toBeDefined();
    const rows = await audited("vm.renew", "refused");
    expect(rows.filter(({ object_id }) => object_id === vm.joined.vmId)).toHaveLength(1);
  });

  it("gives nothing to a key that was planted in the database", async () => {
    const vm = await joinAs(register, "renew-7");
    const planted = generateIdentity();
    await database.pool.query(
      "update catalog.vms set identity_key = $2, key_thumbprint = $3 where id = $1",
      [vm.joined.vmId, rawPublicKey(planted.publicKey), thumbprint(planted.publicKey)],
    );
    const { vms } = other.connect();
    const { vmId } = vm.joined;
    await expect(vms.renewVmToken(renewRequest(vmId, planted))).rejects.toMatchObject({
      code: "UNAUTHENTICATED",
    });
  });
});

describe("removal", () => {
  it("ends renewal on every replica from the moment at which it returns", async () => {
    const vm = await joinAs(register, "remove-1");
    const admin = await register.developer();
    expect(await admin.vms.removeVm({ name: "remove-1" })).toEqual({ vmId: vm.joined.vmId });
    for (const { connect } of [register, other]) {
      const renewal = connect().vms.renewVmToken(renewRequest(vm.joined.vmId, vm.identity));
      await expect(renewal).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
    }
    await expect(admin.vms.removeVm({ name: "remove-1" })).rejects.toMatchObject({
      code: "NOT_FOUND",
      reason: ErrorReason.ERROR_REASON_VM_NOT_FOUND,
      message: 'VM "remove-1" not found',
    });
  });

  it("is not undone by a writer of the database", async () => {
    const vm = await joinAs(register, "remove-2");
    await (await register.developer()).vms.removeVm({ name: "remove-2" });
    await database.pool.query("update catalog.vms set removed_at = null where id = $1", [
      vm.joined.vmId,
    ]);
    const renewal = register.connect().vms.renewVmToken(renewRequest(vm.joined.vmId, vm.identity));
    await expect(renewal).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
  });

  it("ends a waiting join token of the name, and a spent one does not bring the VM back", async () => {
    const vm = await joinAs(register, "remove-3");
    const waiting = await issue("remove-3");
    await (await register.developer()).vms.removeVm({ name: "remove-3" });
    const join = (token: string, identity = generateIdentity()) =>
      register.connect().vms.joinVm(joinRequest(token, identity));
    await expect(join(waiting)).rejects.toMatchObject(refusedJoin);
    await expect(join(vm.joinToken, vm.identity)).rejects.toMatchObject(refusedJoin);
  });

  it("of a name lets a new machine have it, as another VM", async () => {
    const first = await joinAs(register, "remove-4");
    await (await register.developer()).vms.removeVm({ name: "remove-4" });
    const second = await joinAs(register, "remove-4");
    expect(second.joined.vmId).not.toBe(first.joined.vmId);
  });

  it("does not reach into another tenant", async () => {
    await joinAs(register, "remove-5", "umbrella");
    const removed = (await register.developer("acme")).vms.removeVm({ name: "remove-5" });
    await expect(removed).rejects.toMatchObject({ code: "NOT_FOUND" });
    const listed = await (
      await register.developer("acme")
    ).vms.listVms({
      pageSize: 1000,
      pageToken: "",
    });
    expect(listed.vms.map(({ name }) => name)).not.toContain("remove-5");
  });

  it("is told to the rotation service in the order of the commits, without a gap", async () => {
    const rotation = register.service("rotation");
    const { removed: before } = await rotation.vms.listRemovedVms({ afterSequence: 0n });
    const last = before.at(-1)?.sequence ?? 0n;
    const names = Array.from({ length: 10 }, (_, at) => `bulk-${at}`);
    const vms = await Promise.all(names.map((name) => joinAs(register, name)));
    const admin = await register.developer();
    const seen: bigint[] = [];
    const removals = { areOver: false };
    const removing = Promise.all(names.map((name) => admin.vms.removeVm({ name }))).finally(
      () => (removals.areOver = true),
    );
    let after = last;
    const look = async () => {
      const { removed } = await rotation.vms.listRemovedVms({ afterSequence: after });
      seen.push(...removed.map(({ sequence }) => sequence));
      after = removed.at(-1)?.sequence ?? after;
    };
    while (!removals.areOver) await look();
    await removing;
    await look();
    expect(seen).toEqual(names.map((_, at) => last + 1n + BigInt(at)));
    const all = await rotation.vms.listRemovedVms({ afterSequence: last });
    expect(new Set(all.removed.map(({ vmId }) => vmId))).toEqual(
      new Set(vms.map(({ joined }) => joined.vmId)),
    );
    const restored = await rotation.vms.listRemovedVms({ afterSequence: 10n ** 12n });
    expect(restored.removed[0]?.sequence).toBe(1n);
  });
});

describe("lists", () => {
  it("pages by name and refuses garbled tokens and sizes", async () => {
    for (const name of ["page-c", "page-a", "page-b"]) await joinAs(register, name, "paged");
    const { vms } = await register.developer("paged", "member");
    const first = await vms.listVms({ pageSize: 2, pageToken: "" });
    expect(first.vms.map(({ name }) => name)).toEqual(["page-a", "page-b"]);
    const second = await vms.listVms({ pageSize: 2, pageToken: first.nextPageToken });
    expect(second.vms.map(({ name }) => name)).toEqual(["page-c"]);
    expect(second.nextPageToken).toBe("");
    await expect(vms.listVms({ pageSize: -1, pageToken: "" })).rejects.toMatchObject({
      metadata: { field: "page_size" },
    });
    await expect(vms.listVms({ pageSize: 0, pageToken: "x" })).rejects.toMatchObject({
      metadata: { field: "page_token" },
    });
  });
});
