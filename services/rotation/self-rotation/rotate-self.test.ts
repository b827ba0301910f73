import { randomUUID } from "node:crypto";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { CredentialFault, CredentialKind } from "../../../gen/murmur/rotation/v1/credentials";
import type {
  RegisterAgentResponse,
  RotateSelfRequest,
} from "../../../gen/murmur/rotation/v1/self_rotation";
import { type CredentialIssuer, startCredentialIssuer } from "../../../test/harness/credentials";
import { eventually } from "../../../test/harness/eventually";

const { CREDENTIAL_FAULT_UNSPECIFIED: VALID, CREDENTIAL_FAULT_REVOKED: REVOKED } = CredentialFault;
const REFUSED = {
  code: "UNAUTHENTICATED",
  message: "Invalid API key or invalid rotation secret",
  reason: ErrorReason.ERROR_REASON_ROTATION_REFUSED,
};
const FORBIDDEN = {
  code: "PERMISSION_DENIED",
  message: "Agent revoked, or no rotation secret configured",
};

type Pair = Pick<RegisterAgentResponse, "apiKey" | "rotationSecret">;

describe("an agent that rotates its own pair", () => {
  let issuer: CredentialIssuer;
  let ann: ReturnType<CredentialIssuer["registrar"]>;

  beforeAll(async () => {
    issuer = await startCredentialIssuer();
    ann = issuer.registrar("github/ann", "admin");
  });
  afterAll(() => issuer.stop());
  beforeEach(() => issuer.pass(900));

  const register = async () => {
    const made = await ann.registerAgent({ invitation: "", name: "", requestId: "" });
    const { agentId = "", name = "" } = made.agent ?? {};
    return { ...made, agentId, name };
  };
  const rotate = ({ apiKey, rotationSecret }: Pair, change: Partial<RotateSelfRequest> = {}) =>
    issuer.anyone.rotateSelf({ apiKey, rotationSecret, confirm: "", requestId: "", ...change });
  const faultOf = async ({ apiKey }: Pair) =>
    (await issuer.verifier().verifyCredential({ value: apiKey })).fault;
  const shown = async (agentId: string) => {
    const which = { $case: "agentId" as const, value: agentId };
    const { agent } = await ann.getRegisteredAgent({ which });
    if (!agent) throw new Error("an agent is not shown");
    return agent;
  };
  const auditOf = async (agentId: string) => {
    const { rows } = await issuer.rotation.pool.query<{ action: string; outcome: string }>(
      "select action, outcome from rotation.audit where object_id = $1 order by id",
      [agentId],
    );
    return rows.map(({ action, outcome }) => `${action} ${outcome}`);
  };

  it("gets another one, and both old ones are dead at once", async () => {
    const old = await register();
    expect(old.apiKey).toMatch(/^mur_agt_[0-9A-Za-z]{49}$/);
    expect(old.rotationSecret).toMatch(/^mur_rot_[0-9A-Za-z]{49}$/);
    const next = await rotate(old);
    expect(next).toMatchObject({
      message:
        "API key and rotation secret rotated successfully. Save both — they will not be shown again.",
      ...{ agentId: old.agentId, agentName: old.name },
    });
    expect([await faultOf(old), await faultOf(next)]).toEqual([REVOKED, VALID]);
    const mixed = { apiKey: next.apiKey, rotationSecret: old.rotationSecret };
    await expect(rotate(mixed)).rejects.toMatchObject(REFUSED);
    const third = await rotate(next);
    expect(await faultOf(third)).toBe(VALID);
    const done = (await auditOf(old.agentId)).filter((it) => !it.startsWith("agent.token-reused"));
    expect(done).toEqual([
      ...["agent.register ok", "agent.rotate-self ok", "agent.first-use ok"],
      ...["agent.rotate-self refused", "agent.rotate-self ok", "agent.first-use ok"],
    ]);
  });

  it("leaves neither value anywhere", async () => {
    const old = await register();
    const next = await rotate(old, { requestId: randomUUID() });
    const { rows } = await issuer.rotation.pool.query<{ all: string }>(
      `select string_agg(row::text, '') as all from (
         select c::text as row from rotation.credentials c union all
         select encode(s.sealed, 'escape') from rotation.sealed_answers s union all
         select a::text from rotation.self_rotating_agents a union all
         select a::text from rotation.audit a) as rows`,
    );
    for (const value of [old, next].flatMap((it) => [it.apiKey, it.rotationSecret])) {
      const secret = value.slice(12);
      expect(rows[0]?.all).not.toContain(secret);
      expect(rows[0]?.all).not.toContain(Buffer.from(secret).toString("hex"));
    }
  });

  describe("is refused, in this order,", () => {
    it("after three attempts in 15 minutes, whatever it sends", async () => {
      const pair = await register();
      await expect(rotate(pair, { rotationSecret: "" })).rejects.toMatchObject({
        code: "INVALID_ARGUMENT",
      });
      await expect(rotate({ ...pair, apiKey: "" })).rejects.toMatchObject(REFUSED);
      await expect(rotate({ ...pair, rotationSecret: "mur_rot_wrong" })).rejects.toMatchObject(
        REFUSED,
      );
      for (const wrong of [pair, { ...pair, rotationSecret: "" }, { ...pair, apiKey: "" }])
        await expect(rotate(wrong)).rejects.toMatchObject({
          code: "RESOURCE_EXHAUSTED",
          message: "Too many rotation attempts (max 3 per 15 minutes)",
          reason: ErrorReason.ERROR_REASON_TOO_MANY_ATTEMPTS,
          retryAfterMs: expect.any(Number) as number,
        });
    });

    it("without a rotation secret, whoever it is", async () => {
      const missing = { code: "INVALID_ARGUMENT", message: "rotationSecret not provided" };
      const pair = await register();
      for (const apiKey of [pair.apiKey, "mur_agt_never-was"])
        await expect(rotate({ apiKey, rotationSecret: "" })).rejects.toMatchObject(missing);
    });

    it("with a key that never was, or was rotated away, also one that a revoked agent had", async () => {
      const old = await register();
      await rotate(old);
      await expect(rotate(old)).rejects.toMatchObject(REFUSED);
      await ann.revokeAgent({ agentId: old.agentId });
      await expect(rotate(old)).rejects.toMatchObject(REFUSED);
    });

    it("when it is revoked, also with a wrong rotation secret", async () => {
      const pair = await register();
      await ann.revokeAgent({ agentId: pair.agentId });
      expect(await faultOf(pair)).toBe(REVOKED);
      await expect(rotate(pair)).rejects.toMatchObject(FORBIDDEN);
      await expect(rotate({ ...pair, rotationSecret: "x" })).rejects.toMatchObject(FORBIDDEN);
    });

    it("when its token was made without a rotation secret", async () => {
      const kind = CredentialKind.CREDENTIAL_KIND_AGENT_TOKEN;
      const { value } = await issuer.create(issuer.developer("github/alice"), {
        kind,
        agentName: "a",
      });
      const { rotationSecret } = await register();
      await expect(rotate({ apiKey: value, rotationSecret })).rejects.toMatchObject(FORBIDDEN);
      const key = await issuer.create(issuer.developer("github/alice"));
      await expect(rotate({ apiKey: key.value, rotationSecret })).rejects.toMatchObject(REFUSED);
    });

    it("with the rotation secret of another", async () => {
      const [pair, { rotationSecret }] = [await register(), await register()];
      await expect(rotate({ ...pair, rotationSecret })).rejects.toMatchObject(REFUSED);
      await rotate(pair);
    });
  });

  describe("whose answer was lost", () => {
    it("has it again with the same request id, and that is no attempt", async () => {
      const old = await register();
      const requestId = randomUUID();
      const first = await rotate(old, { requestId });
      for (let again = 0; again < 5; again++)
        expect(await rotate(old, { requestId })).toEqual(first);
      await eventually(async () => {
        const { rows } = await issuer.rotation.pool.query(
          `select actor_kind, outcome, sum((detail->>'count')::int)::int as count from rotation.audit
           where tenant_id = 't1' and object_id = $1 and detail ? 'again' group by 1, 2`,
          [old.agentId],
        );
        expect(rows).toEqual([{ actor_kind: "agent", outcome: "ok", count: 5 }]);
      });
      await rotate(first);
      expect((await shown(old.agentId)).reuses).toBe(0n);
    });

    it("has it no more when the new key was used, or after 10 minutes", async () => {
      const old = await register();
      const requestId = randomUUID();
      const first = await rotate(old, { requestId });
      expect(await faultOf(first)).toBe(VALID);
      await expect(rotate(old, { requestId })).rejects.toMatchObject(REFUSED);
      await issuer.pass(900);
      const another = await register();
      await rotate(another, { requestId });
      await issuer.pass(600);
      await expect(rotate(another, { requestId })).rejects.toMatchObject(REFUSED);
    });

    it("does not have it by the request id alone", async () => {
      const [old, another] = [await register(), await register()];
      const requestId = "1";
      await rotate(old, { requestId });
      const mixed = { ...old, rotationSecret: another.rotationSecret };
      await expect(rotate(mixed, { requestId })).rejects.toMatchObject(REFUSED);
    });

    it("is told when it asks for something else by it", async () => {
      const old = await register();
      const requestId = randomUUID();
      await rotate(old, { requestId });
      await expect(rotate(old, { requestId, confirm: "two-phase" })).rejects.toMatchObject({
        ...{ code: "INVALID_ARGUMENT", reason: ErrorReason.ERROR_REASON_REQUEST_ID_REUSED },
      });
    });

    it("gets one answer, however many ask at once by one request id", async () => {
      const old = await register();
      const requestId = randomUUID();
      const outcomes = await Promise.allSettled(
        Array.from({ length: 10 }, () => rotate(old, { requestId })),
      );
      const keys = outcomes.flatMap((it) => (it.status === "fulfilled" ? [it.value.apiKey] : []));
      expect(keys.length).toBeGreaterThan(0);
      expect(new Set(keys).size).toBe(1);
      expect(await rotate(old, { requestId })).toMatchObject({ apiKey: keys[0] });
    });
  });

  describe("in two phases", () => {
    const TWO_PHASE = { confirm: "two-phase" };

    it("keeps the old pair until the new key is first used", async () => {
      const old = await register();
      const next = await rotate(old, TWO_PHASE);
      expect(await faultOf(old)).toBe(VALID);
      expect((await shown(old.agentId)).oldPairUntil).toBeInstanceOf(Date);
      expect(await faultOf(next)).toBe(VALID);
      expect([await faultOf(old), await faultOf(next)]).toEqual([REVOKED, VALID]);
      expect((await shown(old.agentId)).oldPairUntil).toBeUndefined();
    });

    it("may begin again with the old pair, and what it did not get is dead", async () => {
      const old = await register();
      const lost = await rotate(old, TWO_PHASE);
      const next = await rotate(old, TWO_PHASE);
      expect(await faultOf(lost)).toBe(REVOKED);
      expect(await faultOf(old)).toBe(VALID);
      expect(await faultOf(next)).toBe(VALID);
      expect(await faultOf(old)).toBe(REVOKED);
    });

    it("confirms the new key by rotating with it", async () => {
      const old = await register();
      const next = await rotate(old, TWO_PHASE);
      const third = await rotate(next, TWO_PHASE);
      expect(await faultOf(old)).toBe(REVOKED);
      expect(await faultOf(next)).toBe(VALID);
      expect(await faultOf(third)).toBe(VALID);
      expect(await faultOf(next)).toBe(REVOKED);
    });

    it("ends the old pair after 24 hours in any case", async () => {
      const old = await register();
      const next = await rotate(old, TWO_PHASE);
      await issuer.pass(86_300);
      expect(await faultOf(old)).toBe(VALID);
      await issuer.pass(100);
      expect(await faultOf(old)).toBe(CredentialFault.CREDENTIAL_FAULT_EXPIRED);
      await expect(rotate(old)).rejects.toMatchObject(REFUSED);
      expect(await faultOf(next)).toBe(VALID);
    });

    it("is refused with another word", async () => {
      const pair = await register();
      await expect(rotate(pair, { confirm: "later" })).rejects.toMatchObject({
        ...{ code: "INVALID_ARGUMENT", violations: [{ field: "confirm" }] },
      });
    });
  });

  it("raises an alarm when its old key is used, by whomever and wherever", async () => {
    const old = await register();
    await rotate(old);
    expect(await faultOf(old)).toBe(REVOKED);
    await expect(rotate(old)).rejects.toMatchObject(REFUSED);
    await eventually(async () => {
      const { reuses, reusedAt } = await shown(old.agentId);
      expect({ reuses, reusedAt }).toEqual({ reuses: 2n, reusedAt: expect.any(Date) as Date });
    });
    expect(await auditOf(old.agentId)).toContain("agent.token-reused refused");
  });

  it("does not rotate as other tokens do, and is told how", async () => {
    const { credentialId } = (await register()).agent ?? { credentialId: "" };
    const owner = issuer.developer("github/oda", "owner");
    const request = { credentialId, graceSeconds: 900, requestId: "" };
    await expect(owner.rotateCredential(request)).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
      reason: ErrorReason.ERROR_REASON_ROTATES_ITSELF,
      message: expect.stringContaining("murmur agents rotate agent-") as string,
    });
  });

  it("of which the token was revoked by its id is shut out, and let in by a new pair", async () => {
    const pair = await register();
    const credentialId = pair.agent?.credentialId ?? "";
    const admin = issuer.developer("github/ann", "admin");
    await admin.revokeCredential({ credentialId, at: undefined });
    await expect(rotate(pair)).rejects.toMatchObject(FORBIDDEN);
    const { agentId } = pair;
    const next = await ann.rotateAgentCredentials({ agentId, requestId: "" });
    expect(await faultOf(await rotate(next))).toBe(VALID);
  });
});
