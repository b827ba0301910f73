import { Role } from "../gen/murmur/rotation/v1/identity";
import { type Channel, openChannel } from "../lib/grpc/client";
import type { DeveloperPrincipal } from "../lib/identity/principal";
import { sensitive } from "../lib/sensitive";
import { FakeClock } from "../test/fakes/fake-clock";
import { type CredentialIssuer, startCredentialIssuer } from "../test/harness/credentials";
import { eventually } from "../test/harness/eventually";
import { startRotation } from "../test/harness/rotation";
import { startTcpProxy } from "../test/harness/tcp-proxy";
import { createChangeAsker, createChangeLease, MAX_VIEW_AGE_MS } from "./change-lease";
import { createCredentialVerifier, createRotationAsker } from "./credential-verifier";
import { createDeveloperAdmission, createTokenAsker } from "./developer-admission";

describe("a service that hears of changes", () => {
  let issuer: CredentialIssuer;
  let alice: ReturnType<CredentialIssuer["developer"]>;
  const ends: (() => Promise<unknown>)[] = [];

  beforeAll(async () => {
    issuer = await startCredentialIssuer();
    alice = issuer.developer("github/alice");
  });
  afterEach(() => Promise.all(ends.splice(0).map((end) => end())));
  afterAll(() => issuer.stop());

  const openProxy = async () => {
    const [host = "", port] = issuer.rotation.address.split(":");
    const proxy = await startTcpProxy({ host, port: Number(port) });
    const channel = openChannel({ address: `127.0.0.1:${proxy.port}` });
    ends.push(() => {
      channel.close();
      return proxy.close();
    });
    return { proxy, channel };
  };
  /** One whose clock stands still unless told; `values` counts the values that it asked rotation about. */
  const start = async () => {
    const { proxy, channel } = await openProxy();
    const clock = new FakeClock();
    const who = { key: issuer.catalog.rotationKey, service: "verifier", tenantId: "t1" };
    const calls = { values: 0, heard: 0, failed: 0 };
    let to = channel;
    const lease = createChangeLease({
      clock,
      async awaitChanges(after, signal) {
        try {
          const told = await createChangeAsker({ ...who, channel: to })(after, signal);
          calls.heard += 1;
          return told;
        } catch (error) {
          calls.failed += 1;
          throw error;
        }
      },
    });
    const ask = createRotationAsker({ ...who, channel });
    const verifier = createCredentialVerifier(
      (values) => {
        calls.values += values.length;
        return ask(values);
      },
      clock,
      lease,
    );
    const people = createDeveloperAdmission(createTokenAsker({ ...who, channel }), clock, lease);
    const abort = new AbortController();
    const over = lease.run(abort.signal);
    ends.push(() => {
      abort.abort();
      return over;
    });
    lease.touch();
    let retried = 0;
    const heard = async () => {
      const before = calls.heard;
      // The one that is under way was asked before.
      await eventually(async () => {
        // It is tried again after a while.
        if (calls.failed > retried) await clock.advance(100);
        retried = calls.failed;
        expect(calls.heard).toBeGreaterThan(before + 1);
      });
    };
    await heard();
    await clock.advance(MAX_VIEW_AGE_MS);
    /** Time goes on, and changes are heard of meanwhile. */
    const pass = async (ms: number) => {
      for (let leftMs = ms; leftMs > 0; leftMs -= 400) {
        await clock.advance(Math.min(leftMs, 400));
        await heard();
      }
    };
    const isValid = async (value: string) => (await verifier.verify(sensitive(value))).valid;
    const hearFrom = (other: Channel) => (to = other);
    const at = { clock, proxy, channel };
    return { ...at, calls, isValid, admit: people.admit, pass, heard, hearFrom };
  };
  const revoke = (credentialId: string) => alice.revokeCredential({ credentialId, at: undefined });

  it("feels an early end although no time passes", async () => {
    const { isValid } = await start();
    const { value, credential } = await issuer.create(alice);
    expect(await isValid(value)).toBe(true);
    await revoke(credential.credentialId);
    await eventually(async () => {
      expect(await isValid(value)).toBe(false);
    });
  });

  it("remembers for longer than a second, and forgets none but what has changed", async () => {
    const { isValid, calls, pass, heard } = await start();
    const [kept, ended] = [await issuer.create(alice), await issuer.create(alice)];
    await isValid(kept.value);
    await isValid(ended.value);
    await revoke(ended.credential.credentialId);
    await heard();
    expect(await isValid(ended.value)).toBe(false);
    await pass(1_200);
    expect(await isValid(kept.value)).toBe(true);
    expect(calls.values).toBe(3);
  });

  it("cut off, feels an early end within the lease of a second, and has no answer then", async () => {
    const { isValid, clock, pass, calls, proxy } = await start();
    const { value, credential } = await issuer.create(alice);
    await isValid(value);
    await pass(1_200);
    proxy.cut();
    await revoke(credential.credentialId);
    expect(await isValid(value)).toBe(true);
    await clock.advance(1_001);
    await expect(isValid(value)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    proxy.heal();
    await eventually(async () => {
      await clock.advance(100);
      expect(await isValid(value)).toBe(false);
    });
    expect(calls.values).toBeGreaterThan(2);
  });

  it("cut off, counts from when it asked: whatever was on its way is as old as that", async () => {
    const { isValid, clock, pass, proxy } = await start();
    const { value } = await issuer.create(alice);
    await isValid(value);
    await pass(1_200);
    proxy.freeze();
    await clock.advance(1_001);
    await expect(Promise.race([isValid(value), issuer.pass(0).then(() => "asks")])).resolves.toBe(
      "asks",
    );
  });

  it("forgets nothing when a replica ends and another goes on", async () => {
    const { isValid, calls, hearFrom, heard, pass, channel } = await start();
    const other = await startRotation({ catalog: issuer.catalog, beside: issuer.rotation });
    const there = openChannel({ address: other.address });
    hearFrom(there);
    await heard();
    const [kept, ended] = [await issuer.create(alice), await issuer.create(alice)];
    await isValid(kept.value);
    await isValid(ended.value);
    await pass(1_200);
    hearFrom(channel);
    await other.stop();
    await heard();
    expect(await isValid(kept.value)).toBe(true);
    expect(calls.values).toBe(2);
    await revoke(ended.credential.credentialId);
    await eventually(async () => {
      expect(await isValid(ended.value)).toBe(false);
    });
    there.close();
  });

  it("feels a lesser role although no time passes, and forgets nobody else", async () => {
    const { admit } = await start();
    const ownerBy = issuer.catalog.developer({ tenantId: "t1", role: "owner", id: "github/olga" });
    const { people } = issuer.rotation.clients(ownerBy);
    const token = sensitive(await issuer.token("github/eve"));
    const eve: DeveloperPrincipal = {
      ...{ kind: "developer", tenantId: "t1", id: "github/eve", role: "owner" },
      ...{ firstIssuedAt: undefined, expiresAt: undefined },
    };
    const roleOfEve = async () => (await admit(eve, { token, peer: "" }))?.role;
    expect(await roleOfEve()).toBe("owner");
    await people.setPersonRole({ developer: "github/eve", role: Role.ROLE_MEMBER });
    await eventually(async () => {
      expect(await roleOfEve()).toBe("member");
    });
  });
});
