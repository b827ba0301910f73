import { createDecipheriv, randomBytes, randomUUID, sign } from "node:crypto";
import fc from "fast-check";
import { eventually } from "../../../test/harness/eventually";
import { createTestDatabase, type TestDatabase } from "../../../test/harness/postgres";
import { systemClock } from "../../../lib/clock";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { createLog, silentLog } from "../../../lib/log";
import { issueVmToken } from "../../../lib/identity/claims";
import {
  decapsulateKey,
  encapsulateKey,
  generateAgreementKey,
} from "../../../lib/identity/key-agreement";
import {
  environmentAssociatedData,
  sessionRequestMessage,
} from "../../../lib/identity/signed-messages";
import { sessionCredentials } from "../../../lib/identity/credentials";
import { thumbprint } from "../../../lib/identity/signing-key";
import { sensitive } from "../../../lib/sensitive";
import { createServerClock } from "../identity/server-clock";
import { createDeliverySessions } from "../../catalog/domain/delivery-session";
import { createTestEnvironments, type TestEnvironment } from "../../catalog/vms/test-environments";
import {
  createMemoryTenantKeys,
  createRegisterKeys,
  joinAs,
  startTestRegister,
  type TestRegister,
} from "../../catalog/vms/test-register";
import { createDelivery } from "./delivery";
import type { DeliveryClient } from "./delivery-session";

let database: TestDatabase;
let register: TestRegister;
const keys = { ...createRegisterKeys(), tenantKeys: createMemoryTenantKeys() };
const environments = createTestEnvironments();
const never = new AbortController().signal;
const logged: string[] = [];
const log = createLog("catalog", "info", { write: (line: string) => logged.push(line) });

beforeAll(async () => {
  database = await createTestDatabase("catalog");
  register = await startTestRegister({
    ...{ pool: database.pool, keys, log },
    environments: environments.opener,
  });
});
afterAll(async () => {
  await register.stop();
  await database.drop();
});

/** A VM that has joined, and its daemon's way to its sets. */
async function createVm(name: string, tenantId = "acme", from = register) {
  const { identity: key, joined, delivery: client } = await joinAs(from, name, tenantId);
  const state = {
    ...{ vmId: joined.vmId, tenantId, name, joinTokenHash: "-" },
    deliveryPublicKeys: joined.trustBundle!.deliveryPublicKeys,
  };
  let refusals = 0;
  const identity = {
    ...{ key, state, clock: createServerClock(systemClock) },
    currentToken: () => Promise.resolve(sensitive(joined.vmToken)),
    refused: () => {
      refusals++;
    },
  };
  const deliveryFrom = (via: DeliveryClient, vmLog = silentLog) =>
    createDelivery({
      ...{ client: via, identity, incarnation: randomBytes(16), log: vmLog },
    });
  const add = (more: Partial<TestEnvironment> = {}) => {
    const bound = { tenantId, vmId: joined.vmId, agentId: randomUUID(), generation: 1n };
    const environment = { ...bound, ...more };
    environments.add(environment);
    return { agentId: environment.agentId, generation: environment.generation };
  };
  const refusalCount = () => refusals;
  return { ...deliveryFrom(client), client, identity, deliveryFrom, add, joined, refusalCount };
}

const variable = (name: string, value: string) => ({ name, value: Buffer.from(value) });
const notAvailable = expect.objectContaining({ refusal: "not-available" }) as unknown;

describe("a fetch", () => {
  it("brings sets byte for byte, with their files, names to unset and fingerprint", async () => {
    const vm = await createVm("fetch-1");
    const values = [Buffer.alloc(65_536, 0xff), Buffer.from("\n'\"$\\=#é"), Buffer.alloc(0)];
    const ref = vm.add({
      variables: values.map((value, at) => ({ name: `N${at}`, value, asFile: at === 0 })),
      unsetNames: ["GONE"],
    });
    const [fetched] = await vm.fetch([ref], never);
    expect(fetched).toMatchObject(ref);
    if (!fetched || !("set" in fetched)) throw new Error("no set");
    expect(fetched.set.variables.map(({ value }) => value.expose())).toEqual(values);
    expect(fetched.set.variables.map(({ delivery }) => delivery)).toEqual([
      "file",
      "environment",
      "environment",
    ]);
    expect(fetched.set.unset).toEqual(["GONE"]);
    expect(fetched.fingerprint).toHaveLength(32);
    expect(fetched.set.fingerprint).toBe(fetched.fingerprint.toString("hex"));
  });

  it("tells each refusal apart and lets none hold up the others", async () => {
    const vm = await createVm("fetch-2");
    const good = vm.add({ variables: [variable("A", "1")] });
    const refusals = ["not-available", "tampered", "away"] as const;
    const refs = refusals.map((refusal) => vm.add({ refusal }));
    const fetched = await vm.fetch([...refs, good], never);
    expect(fetched.slice(0, 3)).toEqual(refs.map((ref, at) => ({ ...ref, refusal: refusals[at] })));
    expect(fetched[3]).toHaveProperty("set");
    expect(logged.join("")).toContain("environment fails its MAC");
  });

  it("asks again for what did not fit into one answer, and for more than 500", async () => {
    const vm = await createVm("fetch-3");
    const value = Buffer.alloc(60_000, 7);
    const large = Array.from({ length: 120 }, () => vm.add({ variables: [{ name: "A", value }] }));
    const small = Array.from({ length: 900 }, () => vm.add({ variables: [variable("A", "1")] }));
    let calls = 0;
    const counting: DeliveryClient = {
      ...vm.client,
      fetchEnvironments: (...args) => {
        calls++;
        return vm.client.fetchEnvironments(...args);
      },
    };
    const fetched = await vm.deliveryFrom(counting).fetch([...large, ...small], never);
    expect(fetched.filter((each) => "set" in each)).toHaveLength(1020);
    expect(new Set(fetched.map(({ agentId }) => agentId)).size).toBe(1020);
    expect(calls).toBeGreaterThan(2);
    expect(calls).toBeLessThan(8);
  });

  it("delivers one set that is larger than an answer should be", async () => {
    const vm = await createVm("fetch-4");
    const variables = Array.from({ length: 54 }, (_, at) => {
      return { name: `N${10 + at}`, value: Buffer.alloc(65_536, at) };
    });
    const [fetched] = await vm.fetch([vm.add({ variables })], never);
    expect(fetched).toHaveProperty("set");
  });

  it("agrees on one session for many fetches, and on a new one when the replica was restarted", async () => {
    const keep = { pool: database.pool, keys, environments: environments.opener };
    const first = await startTestRegister(keep);
    const second = await startTestRegister(keep);
    const vm = await createVm("session-1", "acme", first);
    const elsewhere = second.vm(vm.identity.key, vm.joined.vmToken).delivery;
    let sessions = 0;
    let replica: DeliveryClient = vm.client;
    const counted = vm.deliveryFrom({
      openDeliverySession: (...args) => {
        sessions++;
        return replica.openDeliverySession(...args);
      },
      fetchEnvironments: (...args) => replica.fetchEnvironments(...args),
    });
    const ref = vm.add({ variables: [variable("A", "1")] });
    const many = await Promise.all(Array.from({ length: 10 }, () => counted.fetch([ref], never)));
    expect(many.flat().every((each) => "set" in each)).toBe(true);
    expect(sessions).toBe(1);
    replica = elsewhere;
    expect((await counted.fetch([ref], never))[0]).toHaveProperty("set");
    expect(sessions).toBe(2);
    await Promise.all([first.stop(), second.stop()]);
  });

  it("loses its session to a clone of the VM by saying so, and gives up until the next pass", async () => {
    const vm = await createVm("session-2");
    const ref = vm.add({ variables: [variable("A", "1")] });
    const lines: string[] = [];
    const ownLog = createLog("test", "warn", { write: (line) => lines.push(line) });
    const original = vm.deliveryFrom(
      {
        ...vm.client,
        fetchEnvironments: async (...args) => {
          await vm.deliveryFrom(vm.client).fetch([ref], never);
          return vm.client.fetchEnvironments(...args);
        },
      },
      ownLog,
    );
    await expect(original.fetch([ref], never)).rejects.toMatchObject({
      reason: ErrorReason.ERROR_REASON_DELIVERY_SESSION_UNKNOWN,
    });
    expect(lines.join("")).toContain("another machine may have this identity");
  });

  it("says UNAVAILABLE when the catalog is away, and works when it is back", async () => {
    const gone = await startTestRegister({ pool: database.pool, keys });
    const vm = await createVm("away-1", "acme", gone);
    await gone.stop();
    const refs = [vm.add({ variables: [variable("A", "1")] })];
    await expect(vm.fetch(refs, never)).rejects.toBeInstanceOf(Error);
    const back = vm.deliveryFrom(register.vm(vm.identity.key, vm.joined.vmToken).delivery);
    await eventually(async () => {
      expect((await back.fetch(refs, never))[0]).toHaveProperty("set");
    });
  });
});

describe("nothing is got by a VM that", () => {
  it("asks for another VM's environment, or another tenant's", async () => {
    const ours = await createVm("nothing-1");
    const others = await createVm("nothing-2");
    const foreign = await createVm("nothing-1", "umbrella");
    const refs = [others, foreign].map((vm) => vm.add({ variables: [variable("A", "1")] }));
    expect(await ours.fetch(refs, never)).toEqual([notAvailable, notAvailable]);
  });

  it("asks for a generation that never was, or one below its floor", async () => {
    const vm = await createVm("nothing-3");
    const old = vm.add({ generation: 3n, floor: 4n, variables: [variable("A", "1")] });
    const unknown = { agentId: randomUUID(), generation: 1n };
    const bad = ["", "x", "a\0b", "é".repeat(40)].map((agentId) => ({ agentId, generation: 1n }));
    const extreme = [-1n, 0n, 2n ** 63n - 1n].map((generation) => ({ ...old, generation }));
    const fetched = await vm.fetch([old, unknown, ...bad, ...extreme], never);
    expect(fetched).toEqual(Array.from({ length: 9 }, () => notAvailable));
  });

  it("has another's token but not its key, or its key but no session", async () => {
    const vm = await createVm("nothing-4");
    const thief = await createVm("nothing-5");
    const ref = vm.add({ variables: [variable("A", "1")] });
    const stolen = register.vm(thief.identity.key, vm.joined.vmToken).delivery;
    const asThief = thief.deliveryFrom(stolen);
    await expect(asThief.fetch([ref], never)).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
    await vm.fetch([ref], never);
    const request = { nonce: randomBytes(16), environments: [ref], sessionId: randomUUID() };
    // Nor with all that goes over the wire in the clear: token, session and a proof of its own.
    const guess = { id: randomUUID(), proofKey: sensitive(randomBytes(32)) };
    const token = () => Promise.resolve(sensitive(vm.joined.vmToken));
    const credentials = sessionCredentials(guess, token, systemClock);
    await expect(stolen.fetchEnvironments(request, { credentials })).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
    });
    await expect(vm.client.fetchEnvironments(request)).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
    });
  });

  it("names another VM's session", async () => {
    const vm = await createVm("nothing-6");
    const thief = await createVm("nothing-7");
    const ref = thief.add({ variables: [variable("A", "1")] });
    let sessionId = "";
    const watching: DeliveryClient = {
      ...vm.client,
      openDeliverySession: async (...args) => {
        const answer = await vm.client.openDeliverySession(...args);
        sessionId = answer.sessionId;
        return answer;
      },
    };
    await vm.deliveryFrom(watching).fetch([vm.add()], never);
    const request = { nonce: randomBytes(16), environments: [ref], sessionId };
    await expect(thief.client.fetchEnvironments(request)).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
    });
  });

  it("was removed: at once, on a replica that knew it a moment ago", async () => {
    const vm = await createVm("nothing-8");
    const ref = vm.add({ variables: [variable("A", "1")] });
    expect((await vm.fetch([ref], never))[0]).toHaveProperty("set");
    const other = await startTestRegister({ pool: database.pool, keys });
    await (await other.developer()).vms.removeVm({ name: "nothing-8" });
    await other.stop();
    await expect(vm.fetch([ref], never)).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
  });

  it("lost its name to a machine that joined after it", async () => {
    const vm = await createVm("nothing-9");
    const ref = vm.add({ variables: [variable("A", "1")] });
    await vm.fetch([ref], never);
    const heir = await createVm("nothing-9");
    expect(heir.joined.vmId).toBe(vm.joined.vmId);
    await expect(vm.fetch([ref], never)).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
    expect((await heir.fetch([ref], never))[0]).toHaveProperty("set");
  });

  it("stands in the database with a key that the catalog did not write", async () => {
    const vm = await createVm("nothing-10");
    const victim = await createVm("nothing-11");
    const ref = victim.add({ variables: [variable("A", "1")] });
    // The thief's row is given the victim's id, key and MAC included.
    await database.pool.query("delete from catalog.vms where id = $1", [victim.joined.vmId]);
    await database.pool.query("update catalog.vms set id = $2 where id = $1", [
      vm.joined.vmId,
      victim.joined.vmId,
    ]);
    // Even with a token, which no renewal would give it.
    const token = await issueVmToken(keys.catalog, {
      ...{ tenantId: "acme", vmId: victim.joined.vmId, name: "nothing-11", ttlSeconds: 300 },
      keyThumbprint: thumbprint(vm.identity.key.publicKey),
    });
    const thief = vm.deliveryFrom(register.vm(vm.identity.key, token).delivery);
    vm.identity.state.vmId = victim.joined.vmId;
    await expect(thief.fetch([ref], never)).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
  });
});

describe("bad input", () => {
  it("is named field by field when a session is opened", async () => {
    const { client } = await createVm("bad-1");
    const empty = Buffer.alloc(0);
    const call = client.openDeliverySession({
      hpkePublicKey: Buffer.alloc(31),
      incarnation: empty,
      signature: empty,
    });
    await expect(call).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      violations: [
        { field: "hpke_public_key", description: "hpke_public_key must be 32 bytes" },
        { field: "incarnation", description: "incarnation must be 16 bytes" },
        { field: "signature", description: "signature must be 64 bytes" },
      ],
    });
  });

  it("in a session's signature is refused as unauthenticated", async () => {
    const { client } = await createVm("bad-2");
    const call = client.openDeliverySession({
      hpkePublicKey: randomBytes(32),
      incarnation: randomBytes(16),
      signature: randomBytes(64),
    });
    await expect(call).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
  });

  it("of low order is no key", async () => {
    const vm = await createVm("bad-3");
    const request = { incarnation: randomBytes(16), hpkePublicKey: Buffer.alloc(32) };
    const message = sessionRequestMessage({ vmId: vm.joined.vmId, ...request });
    const signature = sign(null, message, vm.identity.key.privateKey);
    const call = vm.client.openDeliverySession({ ...request, signature });
    await expect(call).rejects.toMatchObject({ metadata: { field: "hpke_public_key" } });
  });

  it.each([
    [{ nonce: Buffer.alloc(15) }, "nonce"],
    [{ nonce: Buffer.alloc(0) }, "nonce"],
    [{ environments: [] }, "environments"],
    [{ environments: Array(501).fill({ agentId: "a", generation: 1n }) }, "environments"],
  ])("in a fetch is named: %#", async (wrong, field) => {
    const { client } = await createVm("bad-4");
    const environmentRefs = [{ agentId: "a", generation: 1n }];
    const good = { sessionId: "x", nonce: randomBytes(16), environments: environmentRefs };
    await expect(client.fetchEnvironments({ ...good, ...wrong })).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      metadata: { field },
    });
  });
});

describe("whoever stands between", () => {
  it("cannot answer in the catalog's place", async () => {
    const vm = await createVm("between-1");
    const { privateKey } = createRegisterKeys().catalog;
    const forge = vm.deliveryFrom({
      ...vm.client,
      openDeliverySession: async (...args) => {
        const answer = await vm.client.openDeliverySession(...args);
        return { ...answer, signature: sign(null, Buffer.from("x"), privateKey) };
      },
    });
    const ref = vm.add({ variables: [variable("A", "1")] });
    await expect(forge.fetch([ref], never)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(vm.refusalCount()).toBe(1);
  });

  it("changes no byte of an answer, nor gives one for another, without being noticed", async () => {
    const vm = await createVm("between-2");
    const refs = [1n, 2n].map((generation) =>
      vm.add({ generation, variables: [variable("A", `secret-${generation}`)] }),
    );
    const between = (change: (sealed: { iv: Buffer; ciphertext: Buffer }[]) => void) =>
      vm.deliveryFrom({
        ...vm.client,
        fetchEnvironments: async (...args) => {
          const answer = await vm.client.fetchEnvironments(...args);
          change(
            answer.environments.map(({ result }) => {
              if (result?.$case !== "sealed") throw new Error("not sealed");
              return result.value;
            }),
          );
          return answer;
        },
      });
    const changes: ((sealed: { iv: Buffer; ciphertext: Buffer }[]) => void)[] = [
      ([first]) => first!.ciphertext.writeUInt8(first!.ciphertext[0]! ^ 1, 0),
      ([first]) => first!.iv.writeUInt8(first!.iv[11]! ^ 1, 11),
      ([first]) => (first!.ciphertext = first!.ciphertext.subarray(1)),
      ([first]) => (first!.ciphertext = Buffer.alloc(3)),
      ([first]) => (first!.iv = Buffer.alloc(0)),
      ([first, second]) => Object.assign(first!, second!),
    ];
    for (const change of changes) {
      const [first, second] = await between(change).fetch(refs, never);
      expect(first).toMatchObject({ refusal: "tampered" });
      expect(second).toHaveProperty("set");
    }
  });

  it("gains nothing by an answer to an earlier request", async () => {
    const vm = await createVm("between-3");
    const ref = vm.add({ variables: [variable("A", "1")] });
    let kept: Awaited<ReturnType<DeliveryClient["fetchEnvironments"]>> | undefined;
    const replaying = vm.deliveryFrom({
      ...vm.client,
      fetchEnvironments: async (...args) => (kept ??= await vm.client.fetchEnvironments(...args)),
    });
    expect((await replaying.fetch([ref], never))[0]).toHaveProperty("set");
    expect((await replaying.fetch([ref], never))[0]).toMatchObject({ refusal: "tampered" });
  });

  it("sees no value on the wire", async () => {
    const vm = await createVm("between-4");
    const marked = `marked-${randomUUID()}`;
    const ref = vm.add({ variables: [variable("MARKED_NAME", marked)] });
    let seen = "";
    const watching = vm.deliveryFrom({
      ...vm.client,
      fetchEnvironments: async (...args) => {
        const answer = await vm.client.fetchEnvironments(...args);
        const [first] = answer.environments;
        if (first?.result?.$case === "sealed")
          seen = first.result.value.ciphertext.toString("latin1");
        return answer;
      },
    });
    const [fetched] = await watching.fetch([ref], never);
    expect(fetched).toHaveProperty("set");
    expect(seen.length).toBeGreaterThan(marked.length);
    expect(seen).not.toContain(marked);
    expect(seen).not.toContain("MARKED_NAME");
    expect(logged.join("")).not.toContain(marked);
    expect(
      JSON.stringify(fetched, (_key, value: unknown) =>
        typeof value === "bigint" ? String(value) : value,
      ),
    ).not.toContain(marked);
  });

  it("answers with more, fewer or other environments to no use", async () => {
    const vm = await createVm("between-5");
    const refs = [vm.add(), vm.add()];
    const wrong = [
      (list: unknown[]) => list.slice(1),
      (list: unknown[]) => [...list, ...list],
      (list: unknown[]) => [...list].reverse(),
    ];
    for (const change of wrong) {
      const odd = vm.deliveryFrom({
        ...vm.client,
        fetchEnvironments: async (...args) => {
          const answer = await vm.client.fetchEnvironments(...args);
          return { environments: change(answer.environments) as typeof answer.environments };
        },
      });
      await expect(odd.fetch(refs, never)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    }
  });
});

describe("seal and open", () => {
  it("agree on every field of the associated data, and any change of one fails", async () => {
    const own = await generateAgreementKey();
    const owner = { tenantId: "acme", vmId: randomUUID(), keyThumbprint: "t" };
    const request = {
      ...{ vmId: owner.vmId, incarnation: randomBytes(16), hpkePublicKey: own.publicKey },
    };
    const { session, encapsulatedKey } = await createDeliverySessions(systemClock).open(
      owner,
      request,
    );
    const { sealKey: key } = await decapsulateKey(
      own,
      encapsulatedKey,
      sessionRequestMessage(request),
    );
    type Binding = Parameters<typeof environmentAssociatedData>[0];
    const open = (sealed: { iv: Buffer; ciphertext: Buffer }, binding: Binding) => {
      const decipher = createDecipheriv("aes-256-gcm", key.expose(), sealed.iv);
      decipher.setAAD(environmentAssociatedData(binding));
      decipher.setAuthTag(sealed.ciphertext.subarray(-16));
      const body = decipher.update(sealed.ciphertext.subarray(0, -16));
      return Buffer.concat([body, decipher.final()]);
    };
    const asked = fc.record({
      agentId: fc.uuid(),
      generation: fc.bigInt({ min: 1n, max: 2n ** 63n - 1n }),
      nonce: fc.uint8Array({ minLength: 16, maxLength: 16 }),
    });
    const ivs = new Set<string>();
    fc.assert(
      fc.property(
        asked,
        fc.uint8Array({ maxLength: 200 }),
        fc.constantFrom("tenantId", "vmId", "agentId", "generation", "nonce"),
        (what, plaintext, field) => {
          const binding = { ...owner, ...what };
          const sealed = session.seal(what, plaintext);
          expect(open(sealed, binding)).toEqual(Buffer.from(plaintext));
          ivs.add(sealed.iv.toString("hex"));
          const changed = {
            ...binding,
            ...{ tenantId: "umbrella", vmId: randomUUID(), agentId: `${what.agentId}0` },
            ...{ generation: what.generation + 1n, nonce: what.nonce.map((byte) => byte ^ 1) },
          };
          expect(() => open(sealed, { ...binding, [field]: changed[field] })).toThrow();
        },
      ),
    );
    expect(ivs.size).toBe(100);
  });

  it("agree on no key when the request was not the VM's", async () => {
    const own = await generateAgreementKey();
    const info = Buffer.from("info");
    const { encapsulatedKey, keys: agreed } = await encapsulateKey(own.publicKey, info);
    const same = await decapsulateKey(own, encapsulatedKey, info);
    const other = await decapsulateKey(own, encapsulatedKey, Buffer.from("other"));
    const stranger = await decapsulateKey(await generateAgreementKey(), encapsulatedKey, info);
    for (const name of ["sealKey", "proofKey"] as const) {
      expect(same[name].expose()).toEqual(agreed[name].expose());
      expect(other[name].expose()).not.toEqual(agreed[name].expose());
      expect(stranger[name].expose()).not.toEqual(agreed[name].expose());
    }
    expect(agreed.sealKey.expose()).not.toEqual(agreed.proofKey.expose());
    for (const length of [0, 31, 33]) {
      await expect(decapsulateKey(own, Buffer.alloc(length, 9), Buffer.alloc(0))).rejects.toThrow();
      await expect(encapsulateKey(Buffer.alloc(length, 9), Buffer.alloc(0))).rejects.toThrow();
    }
  });

  it("keep the private half of the in-memory key from being exported", async () => {
    const { pair } = await generateAgreementKey();
    expect(pair.privateKey.extractable).toBe(false);
  });
});
