import {
  CredentialFault,
  CredentialKind,
  CredentialState,
  type VerifyCredentialResponse,
} from "../gen/murmur/rotation/v1/credentials";
import { Role } from "../gen/murmur/rotation/v1/identity";
import { type Channel, openChannel } from "../lib/grpc/client";
import { createCredentialValue } from "../lib/identity/credential-value";
import { type Sensitive, sensitive } from "../lib/sensitive";
import { FakeClock } from "../test/fakes/fake-clock";
import { eventually } from "../test/harness/eventually";
import { type CredentialIssuer, startCredentialIssuer } from "../test/harness/credentials";
import { startTcpProxy, type TcpProxy } from "../test/harness/tcp-proxy";
import type { ChangeLease } from "./change-lease";
import { createCredentialVerifier, createRotationAsker } from "./credential-verifier";
import { ALL_TENANTS } from "./rotation-channel";
import { toPrincipal } from "./to-principal";

describe("the verifier of credentials", () => {
  let issuer: CredentialIssuer;
  let proxy: TcpProxy;
  let channel: Channel;
  let alice: ReturnType<CredentialIssuer["developer"]>;

  beforeAll(async () => {
    issuer = await startCredentialIssuer();
    alice = issuer.developer("github/alice");
    const [host = "", port] = issuer.rotation.address.split(":");
    proxy = await startTcpProxy({ host, port: Number(port) });
    channel = openChannel({ address: `127.0.0.1:${proxy.port}` });
  });
  afterAll(async () => {
    channel.close();
    await proxy.close();
    await issuer.stop();
  });

  const start = (tenantId = "t1", service = "verifier") => {
    const clock = new FakeClock();
    const key = issuer.catalog.rotationKey;
    const deps = { channel, key, service, tenantId };
    const verifier = createCredentialVerifier(createRotationAsker(deps), clock);
    const verify = (value: Sensitive<string>) => verifier.verify(value);
    const isValid = async (value: string) => (await verify(sensitive(value))).valid;
    return { clock, verify, isValid };
  };
  const revoke = (credentialId: string) => alice.revokeCredential({ credentialId, at: undefined });

  it("feels an early end a second later at most", async () => {
    const { clock, isValid } = start();
    const { value, credential } = await issuer.create(alice);
    expect(await isValid(value)).toBe(true);
    await revoke(credential.credentialId);
    await clock.advance(999);
    expect(await isValid(value)).toBe(true);
    await clock.advance(1);
    expect(await isValid(value)).toBe(false);
  });

  it("remembers none past its own end", async () => {
    const { clock, verify, isValid } = start();
    const { value, credential } = await issuer.create(alice);
    const { credentialId } = credential;
    await issuer.rotation.pool.query(
      `update rotation.credentials set expires_at = clock_timestamp() + interval '700 milliseconds'
       where credential_id = $1`,
      [credentialId],
    );
    const { valid, validForMs } = await verify(sensitive(value));
    // On a slow machine it is over by now: then that is the answer.
    if (valid) expect(validForMs).toBeLessThanOrEqual(700n);
    await issuer.pass(1);
    await clock.advance(700);
    expect(await isValid(value)).toBe(false);
  });

  it("remembers nothing that is not valid", async () => {
    const { isValid } = start();
    const { value, credential } = await issuer.create(alice, {
      expiresAt: new Date(Date.now() + 3_600_000),
    });
    await issuer.pass(3_600);
    expect(await isValid(value)).toBe(false);
    await issuer.rotation.pool.query(
      "update rotation.credentials set expires_at = null where credential_id = $1",
      [credential.credentialId],
    );
    expect(await isValid(value)).toBe(true);
  });

  it("has no answer while rotation is away, and has one when it is back", async () => {
    const { clock, isValid } = start();
    const { value } = await issuer.create(alice);
    expect(await isValid(value)).toBe(true);
    proxy.cut();
    expect(await isValid(value)).toBe(true);
    await clock.advance(1_000);
    await expect(isValid(value)).rejects.toMatchObject({
      ...{ code: "UNAVAILABLE", message: "API keys and agent tokens cannot be verified now" },
    });
    proxy.heal();
    await eventually(async () => {
      expect(await isValid(value)).toBe(true);
    });
  });

  it("answers many who ask at once, each with their own", async () => {
    const { verify } = start();
    const made = await Promise.all(Array.from({ length: 20 }, () => issuer.create(alice)));
    const asked = made.flatMap((it) => [it, it]);
    const answers = await Promise.all(asked.map(({ value }) => verify(sensitive(value))));
    expect(answers.map(({ credential }) => credential?.credentialId)).toEqual(
      asked.map(({ credential }) => credential.credentialId),
    );
  });

  it("knows those of its own tenant only, unless it is a service of the product that acts for all", async () => {
    const { value } = await issuer.create(issuer.developer("github/eve", "admin", "t2"));
    expect(await start("t1").isValid(value)).toBe(false);
    expect(await start(ALL_TENANTS).isValid(value)).toBe(false);
    const answer = await start(ALL_TENANTS, "catalog").verify(sensitive(value));
    expect(toPrincipal(answer)).toMatchObject({
      ...{ kind: "developer", tenantId: "t2", id: "github/eve", role: "admin" },
    });
  });

  describe("of whom it asks", () => {
    const valid = (credentialId: string): VerifyCredentialResponse => ({
      ...{ valid: true, fault: CredentialFault.CREDENTIAL_FAULT_UNSPECIFIED, tenantId: "t1" },
      credential: { ...NO_CREDENTIAL, credentialId },
    });
    const values = (count: number) =>
      Array.from({ length: count }, () => createCredentialValue("api-key").text);

    it("asks nothing about what cannot be a value, and does not let it spoil what others ask", async () => {
      const asked: number[] = [];
      const { verify } = createCredentialVerifier((batch) => {
        asked.push(batch.length);
        return Promise.resolve(batch.map((value) => valid(value.expose())));
      }, new FakeClock());
      const nonsense = ["", "mur_key_", `mur_key_${"x".repeat(600)}`].map((text) =>
        sensitive(text),
      );
      const good = values(3);
      const answers = await Promise.all([...nonsense, ...good].map((value) => verify(value)));
      expect(answers.map((it) => it.valid)).toEqual([false, false, false, true, true, true]);
      expect(asked).toEqual([3]);
    });

    it("asks in calls of 1000, and once for each value", async () => {
      const asked: number[] = [];
      const { verify } = createCredentialVerifier((batch) => {
        asked.push(batch.length);
        return Promise.resolve(batch.map((value) => valid(value.expose())));
      }, new FakeClock());
      const all = values(2_500);
      const answers = await Promise.all([...all, ...all].map((value) => verify(value)));
      expect(asked).toEqual([1_000, 1_000, 500]);
      expect(answers.map(({ credential }) => credential?.credentialId)).toEqual(
        [...all, ...all].map((value) => value.expose()),
      );
    });

    it("remembers from when it asked, however long the answer took", async () => {
      const clock = new FakeClock();
      let calls = 0;
      const { verify } = createCredentialVerifier(async (batch) => {
        calls++;
        await clock.advance(600);
        return batch.map((value) => valid(value.expose()));
      }, clock);
      const [value] = values(1);
      await verify(value!);
      await clock.advance(399);
      await verify(value!);
      expect(calls).toBe(1);
      await clock.advance(1);
      await verify(value!);
      expect(calls).toBe(2);
    });

    describe("under a lease", () => {
      const startLeased = (answer: Partial<VerifyCredentialResponse> = {}) => {
        const clock = new FakeClock();
        const state = { isAlive: true, changedMs: -Infinity, calls: 0 };
        const lease: ChangeLease = {
          run: () => Promise.resolve(),
          touch: () => undefined,
          isAlive: () => state.isAlive,
          isUnchanged: (subject, askedMs) => subject !== "c1" || askedMs > state.changedMs,
        };
        const verifier = createCredentialVerifier(
          (batch) => {
            state.calls++;
            return Promise.resolve(batch.map(() => ({ ...valid("c1"), ...answer })));
          },
          clock,
          lease,
        );
        const [value] = values(1);
        return { clock, state, verifier, verify: () => verifier.verify(value!) };
      };
      const callsAfter = async (it: ReturnType<typeof startLeased>, ms: number) => {
        await it.verify();
        await it.clock.advance(ms);
        await it.verify();
        return it.state.calls;
      };

      it("remembers for ten seconds", async () => {
        expect(await callsAfter(startLeased(), 9_999)).toBe(1);
        expect(await callsAfter(startLeased(), 10_000)).toBe(2);
      });

      it("remembers for a second when the lease is over", async () => {
        const it = startLeased();
        it.state.isAlive = false;
        expect(await callsAfter(it, 999)).toBe(1);
        await it.clock.advance(1);
        await it.verify();
        expect(it.state.calls).toBe(2);
      });

      it("remembers none past its own end", async () => {
        expect(await callsAfter(startLeased({ validForMs: 1_500n }), 1_499)).toBe(1);
        expect(await callsAfter(startLeased({ validForMs: 1_500n }), 1_500)).toBe(2);
      });

      it("remembers one that was replaced for a second: whoever ends it has to know of its uses", async () => {
        const { CREDENTIAL_STATE_IN_GRACE: state } = CredentialState;
        for (const how of [{ state }, { replacedBy: "c2" }]) {
          const credential = { ...NO_CREDENTIAL, credentialId: "c1", ...how };
          expect(await callsAfter(startLeased({ credential }), 999)).toBe(1);
          expect(await callsAfter(startLeased({ credential }), 1_000)).toBe(2);
        }
      });

      it("asks again about what has changed, however short ago it asked", async () => {
        const it = startLeased();
        await it.verify();
        it.state.changedMs = it.clock.monotonicMs();
        await it.verify();
        expect(it.state.calls).toBe(2);
      });

      it("counts what it asked for, what it had, and what it remembers", async () => {
        const it = startLeased();
        for (let times = 0; times < 3; times++) await it.verify();
        expect(it.verifier.counts).toEqual({ hits: 2, misses: 1, remembered: 1 });
      });
    });

    it("remembers 10,000 at most, and forgets the oldest", async () => {
      let calls = 0;
      const { verify } = createCredentialVerifier((batch) => {
        calls += batch.length;
        return Promise.resolve(batch.map((value) => valid(value.expose())));
      }, new FakeClock());
      const all = values(10_001);
      for (let at = 0; at < all.length; at += 1_000)
        await Promise.all(all.slice(at, at + 1_000).map((value) => verify(value)));
      await verify(all.at(-1)!);
      expect(calls).toBe(10_001);
      await verify(all[0]!);
      expect(calls).toBe(10_002);
    });
  });
});

const NO_CREDENTIAL = {
  ...{ kind: CredentialKind.CREDENTIAL_KIND_API_KEY, label: "", agentName: "", scopes: [] },
  ...{ prefix: "", owner: "", role: Role.ROLE_MEMBER, createdAt: undefined, expiresAt: undefined },
  ...{ state: CredentialState.CREDENTIAL_STATE_ACTIVE, revokedAt: undefined },
  ...{ replacedBy: "", replaces: "", lastUsedAt: undefined, evidence: undefined },
};
