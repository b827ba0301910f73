import { randomUUID } from "node:crypto";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { CredentialFault } from "../../../gen/murmur/rotation/v1/credentials";
import { bearerCredentials } from "../../../lib/identity/credentials";
import { sensitive } from "../../../lib/sensitive";
import { type CredentialIssuer, startCredentialIssuer } from "../../../test/harness/credentials";

const { CREDENTIAL_FAULT_UNSPECIFIED: VALID, CREDENTIAL_FAULT_REVOKED: REVOKED } = CredentialFault;
const NO_PAGE = { pageSize: 0, pageToken: "" };
const NOT_FOUND = {
  code: "NOT_FOUND",
  reason: ErrorReason.ERROR_REASON_AGENT_NOT_REGISTERED,
};
const NOT_INVITED = {
  code: "UNAUTHENTICATED",
  message: "an admin's credential or an invitation that is good is required",
};

type Client = CredentialIssuer["anyone"];

describe("registered agents", () => {
  let issuer: CredentialIssuer;
  let ann: Client;
  let bob: Client;

  beforeAll(async () => {
    issuer = await startCredentialIssuer();
    ann = issuer.registrar("github/ann", "admin");
    bob = issuer.registrar("github/bob");
  });
  afterAll(() => issuer.stop());
  beforeEach(() => issuer.pass(900));

  const wish = (change = {}) => ({ invitation: "", name: "", requestId: "", ...change });
  const register = async (by = ann, change = {}) => {
    const made = await by.registerAgent(wish(change));
    if (!made.agent) throw new Error("registered without an agent");
    return { ...made, agent: made.agent };
  };
  const invited = async (by: Client, change = {}) => {
    const { invitation } = await by.inviteAgent({});
    return register(issuer.anyone, { invitation, ...change });
  };
  const faultOf = async (value: string) =>
    (await issuer.verifier().verifyCredential({ value })).fault;

  it("are made by an admin, with a name of theirs or one that is made up", async () => {
    const made = await register(ann, { name: "my-coder" });
    expect(made.agent).toMatchObject({ name: "my-coder", owner: "github/ann", reuses: 0n });
    expect((await register()).agent.name).toMatch(/^agent-[0-9a-f]{12}$/);
    expect(await issuer.verifier().verifyCredential({ value: made.apiKey })).toMatchObject({
      ...{ valid: true, credential: { agentName: "my-coder", owner: "github/ann" } },
    });
  });

  it("are refused to a member, to who has no credential, and with a name that is none or taken", async () => {
    await expect(register(bob)).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
    await expect(register(issuer.anyone)).rejects.toMatchObject(NOT_INVITED);
    await expect(register(ann, { name: "My Coder" })).rejects.toMatchObject({
      ...{ code: "INVALID_ARGUMENT", violations: [{ field: "name" }] },
    });
    await register(ann, { name: "taken" });
    await expect(register(ann, { name: "taken" })).rejects.toMatchObject({
      ...{ code: "ALREADY_EXISTS", reason: ErrorReason.ERROR_REASON_REGISTERED_AGENT_EXISTS },
    });
  });

  it("of an API key that ends are not: their pair would outlive it", async () => {
    const admin = issuer.developer("github/ann", "admin");
    const { value } = await issuer.create(admin, { expiresAt: new Date(Date.now() + 3_600_000) });
    const { selfRotation } = issuer.rotation.clients(bearerCredentials(sensitive(value)));
    for (const call of [() => register(selfRotation), () => selfRotation.inviteAgent({})])
      await expect(call()).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
  });

  describe("with an invitation", () => {
    it("are the inviter's, once", async () => {
      const { invitation, expiresAt } = await bob.inviteAgent({});
      expect(invitation).toMatch(/^mur_inv_[0-9A-Za-z]{49}$/);
      expect(expiresAt).toBeInstanceOf(Date);
      const { agent } = await register(issuer.anyone, { invitation });
      expect(agent.owner).toBe("github/bob");
      const again = register(issuer.anyone, { invitation });
      await expect(again).rejects.toMatchObject(NOT_INVITED);
    });

    it("are refused after 10 minutes, and with one that never was", async () => {
      const { invitation } = await bob.inviteAgent({});
      await issuer.pass(600);
      const joinToken = `mur_join_${"x".repeat(40)}`;
      for (const wrong of [invitation, `mur_inv_${"x".repeat(49)}`, joinToken])
        await expect(register(issuer.anyone, { invitation: wrong })).rejects.toMatchObject(
          NOT_INVITED,
        );
    });

    it("are one, however many use it at once; an answer that was lost is had again", async () => {
      const { invitation } = await bob.inviteAgent({});
      const outcomes = await Promise.allSettled(
        Array.from({ length: 10 }, () => register(issuer.anyone, { invitation })),
      );
      expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
      const another = await bob.inviteAgent({});
      const request = { invitation: another.invitation, requestId: randomUUID() };
      const first = await register(issuer.anyone, request);
      expect(await register(issuer.anyone, request)).toEqual(first);
    });

    it("that got a name that is taken may try another", async () => {
      await register(ann, { name: "popular" });
      const { invitation } = await bob.inviteAgent({});
      const taken = register(issuer.anyone, { invitation, name: "popular" });
      await expect(taken).rejects.toMatchObject({ code: "ALREADY_EXISTS" });
      await register(issuer.anyone, { invitation, name: "less-popular" });
    });
  });

  it("of who left the tenant are not made, and those that were made end", async () => {
    const oda = issuer.rotation.clients(
      issuer.catalog.developer({ tenantId: "t1", role: "owner", id: "github/oda" }),
    );
    const gone = issuer.registrar("github/gone");
    const made = await invited(gone);
    const { invitation } = await gone.inviteAgent({});
    await oda.people.removePerson({ developer: "github/gone" });
    expect(await faultOf(made.apiKey)).toBe(REVOKED);
    await expect(register(issuer.anyone, { invitation })).rejects.toMatchObject(NOT_INVITED);
  });

  describe("that lost their pair", () => {
    it("get a new one from their owner or an admin, once, and the old one has ended", async () => {
      const { agent, ...old } = await invited(bob);
      const { agentId } = agent;
      const requestId = randomUUID();
      const next = await bob.rotateAgentCredentials({ agentId, requestId });
      expect(await bob.rotateAgentCredentials({ agentId, requestId })).toEqual(next);
      expect([await faultOf(old.apiKey), await faultOf(next.apiKey)]).toEqual([REVOKED, VALID]);
      const third = await ann.rotateAgentCredentials({ agentId, requestId: "" });
      expect(await faultOf(next.apiKey)).toBe(REVOKED);
      const { apiKey, rotationSecret } = third;
      await issuer.anyone.rotateSelf({ apiKey, rotationSecret, confirm: "", requestId: "" });
    });

    it("do not when they are revoked", async () => {
      const { agent } = await register();
      const { agentId } = agent;
      await ann.revokeAgent({ agentId });
      await expect(ann.rotateAgentCredentials({ agentId, requestId: "" })).rejects.toMatchObject({
        code: "FAILED_PRECONDITION",
        reason: ErrorReason.ERROR_REASON_REGISTERED_AGENT_REVOKED,
      });
    });
  });

  it("that are revoked are over for good, and their name may be used again", async () => {
    const { agent, apiKey } = await register(ann, { name: "short-lived" });
    const { agentId } = agent;
    const first = await ann.revokeAgent({ agentId });
    expect(first.agent?.revokedAt).toBeInstanceOf(Date);
    expect(await ann.revokeAgent({ agentId })).toEqual(first);
    expect(await faultOf(apiKey)).toBe(REVOKED);
    const next = await register(ann, { name: "short-lived" });
    const which = { $case: "name" as const, value: "short-lived" };
    const found = await ann.getRegisteredAgent({ which });
    expect(found.agent?.agentId).toBe(next.agent.agentId);
    const listed = async (includeRevoked: boolean) => {
      const { agents } = await ann.listRegisteredAgents({ includeRevoked, ...NO_PAGE });
      return agents.map((it) => it.agentId).includes(agentId);
    };
    expect([await listed(false), await listed(true)]).toEqual([false, true]);
  });

  it("of others are not there for a member, and are for an admin", async () => {
    const own = await invited(bob);
    const { agentId, name } = (await invited(issuer.registrar("github/eve"))).agent;
    for (const call of [
      () => bob.getRegisteredAgent({ which: { $case: "agentId", value: agentId } }),
      () => bob.getRegisteredAgent({ which: { $case: "name", value: name } }),
      () => bob.rotateAgentCredentials({ agentId, requestId: "" }),
      () => bob.revokeAgent({ agentId }),
      () => bob.getRegisteredAgent({ which: { $case: "agentId", value: randomUUID() } }),
    ])
      await expect(call()).rejects.toMatchObject(NOT_FOUND);
    const { agents } = await bob.listRegisteredAgents({ includeRevoked: true, ...NO_PAGE });
    expect(agents.map((it) => it.owner)).toContain(own.agent.owner);
    expect(agents.map((it) => it.agentId)).not.toContain(agentId);
    await ann.revokeAgent({ agentId });
  });

  it("of a higher role are not an admin's to rotate", async () => {
    const { agentId } = (await register(issuer.registrar("github/oda", "owner"))).agent;
    for (const call of [
      () => ann.rotateAgentCredentials({ agentId, requestId: "" }),
      () => ann.revokeAgent({ agentId }),
    ])
      await expect(call()).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
  });

  it("are listed in pages, newest first", async () => {
    const by = issuer.registrar("github/pat");
    const made: string[] = [];
    for (let n = 0; n < 3; n++) made.unshift((await invited(by)).agent.agentId);
    const first = await by.listRegisteredAgents({
      includeRevoked: false,
      pageSize: 2,
      pageToken: "",
    });
    const rest = await by.listRegisteredAgents({
      ...{ includeRevoked: false, pageSize: 2, pageToken: first.nextPageToken },
    });
    expect([...first.agents, ...rest.agents].map((it) => it.agentId)).toEqual(made);
    expect(rest.nextPageToken).toBe("");
    await expect(
      by.listRegisteredAgents({ includeRevoked: false, pageSize: 0, pageToken: "x" }),
    ).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  it("may be anybody's where registration is open, three in 15 minutes", async () => {
    const openRegistration = { tenantId: "t9", developer: "github/ann" };
    const open = await startCredentialIssuer({ openRegistration });
    try {
      await expect(open.anyone.registerAgent(wish())).rejects.toMatchObject(NOT_INVITED);
      await open.pass(900);
      const annOfT9 = open.registrar("github/ann", "admin", "t9");
      await annOfT9.listRegisteredAgents({ includeRevoked: false, ...NO_PAGE });
      for (let n = 0; n < 3; n++) {
        const { agent } = await open.anyone.registerAgent(wish());
        expect(agent?.owner).toBe("github/ann");
      }
      await expect(open.anyone.registerAgent(wish())).rejects.toMatchObject({
        code: "RESOURCE_EXHAUSTED",
      });
      const { agents } = await annOfT9.listRegisteredAgents({ includeRevoked: false, ...NO_PAGE });
      expect(agents).toHaveLength(3);
    } finally {
      await open.stop();
    }
  });
});
