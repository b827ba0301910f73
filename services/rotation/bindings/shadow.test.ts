import { createHash } from "node:crypto";
import { AgentsOf } from "../../../gen/murmur/rotation/v1/bindings";
import {
  type Bindings,
  hashesOf,
  newKey,
  startBindings,
  toAgent,
} from "../../../test/harness/bindings";
import type { RotationClients } from "../../../test/harness/rotation";

type Client = RotationClients["bindings"];

let rig: Bindings;
let accounts = 0;

beforeAll(async () => {
  rig = await startBindings();
});
afterAll(() => rig.stop());

const newAccount = () => rig.account(`github/dev-${accounts++}`);
const observe = (key: string, name = "", by = rig.proxy()) => {
  const { hash, prefix } = hashesOf(key, name);
  return by.observeKey({ agentHash: hash, name, keyPrefix: prefix });
};
const get = async (agentId: string, by = newAccount()) =>
  toAgent(await by.getBoundAgent({ agentId }));
const claim = (by: Client, agentId: string, hashProof: string) =>
  by.claimAgent({ agentId, hashProof });
const deactivate = (by: Client, agentId: string, hashProof = "") =>
  by.deactivateAgent({ agentId, hashProof });
const NONE = { traces: 0n, scores: 0n, trustEdges: 0n };
/** Begins with other characters than the proof, and is as long. */
const wrongProof = () => createHash("sha256").update(newKey()).digest("hex");
/** Agrees in all but the last bit of what the agent's hash has. */
const nearProof = (proof: string) =>
  proof.slice(0, 15) + (Number.parseInt(proof.charAt(15), 16) ^ 1).toString(16) + proof.slice(16);

describe("ObserveKey", () => {
  it("makes an unclaimed agent for a key that nobody has, once", async () => {
    const key = newKey();
    const answers = await Promise.all(Array.from({ length: 20 }, () => observe(key, "my-coder")));
    expect(answers.filter(({ created }) => created)).toHaveLength(1);
    const [id = "", ...others] = new Set(answers.map(({ agentId }) => agentId));
    expect(others).toEqual([]);
    expect(await get(id)).toMatchObject({
      ...{ name: "my-coder", claimed: false, owner: "", bound: true, history: NONE },
      ...{ keyPrefix: key.slice(0, 16), rekeyedAt: undefined, rekeyCount: 0 },
    });
  });

  it("tells agents of one key apart by their names", async () => {
    const key = newKey();
    const ids = [];
    for (const name of ["", "a", "b", "ä", " a"]) ids.push((await observe(key, name)).agentId);
    expect(new Set(ids).size).toBe(5);
  });

  it("fills the prefix if none is known, and never replaces one", async () => {
    const { hash, prefix } = hashesOf(newKey());
    const see = (keyPrefix: string) =>
      rig.proxy().observeKey({ agentHash: hash, name: "", keyPrefix });
    const { agentId } = await see("");
    expect(await get(agentId)).toMatchObject({ keyPrefix: "" });
    for (const keyPrefix of [prefix, "another", ""]) {
      await see(keyPrefix);
      expect(await get(agentId)).toMatchObject({ keyPrefix: prefix });
    }
  });

  it("writes nothing for what was seen within the minute, and notes the time after it", async () => {
    const key = newKey();
    const { agentId } = await observe(key);
    const version = async () => {
      const { rows } = await rig.rotation.pool.query<{ xmin: string }>(
        "select xmin::text from rotation.registered_agents where agent_id = $1",
        [agentId],
      );
      return rows[0]?.xmin;
    };
    const shiftSeen = (seconds: number) =>
      rig.rotation.pool.query(
        `update rotation.registered_agents
         set observed_at = clock_timestamp() + $2 * interval '1 second' where agent_id = $1`,
        [agentId, seconds],
      );
    // Seen a moment ago, however long this test takes.
    await shiftSeen(600);
    const before = await version();
    for (let n = 0; n < 5; n++) await observe(key);
    expect(await version()).toBe(before);
    await shiftSeen(-61);
    const { observedAt } = await get(agentId);
    await observe(key);
    const seen = (await get(agentId)).observedAt?.getTime() ?? 0;
    expect(seen).toBeGreaterThanOrEqual((observedAt?.getTime() ?? 0) + 61_000);
  });

  it("is for the operator's proxy and for admins, not for members", async () => {
    await expect(observe(newKey(), "", newAccount())).rejects.toMatchObject({
      ...{ code: "PERMISSION_DENIED" },
    });
    expect((await observe(newKey(), "", rig.account("github/root", "admin"))).created).toBe(true);
  });

  it.each([
    ["agent_hash", { agentHash: "xyz" }],
    ["name", { name: "n".repeat(101) }],
    ["name", { name: "a\u0000b" }],
    ["key_prefix", { keyPrefix: "k".repeat(17) }],
    ["key_prefix", { keyPrefix: "schlüssel" }],
  ])("names %s when it is wrong: %j", async (field, change) => {
    const good = { agentHash: hashesOf(newKey()).hash, name: "", keyPrefix: "" };
    await expect(rig.proxy().observeKey({ ...good, ...change })).rejects.toMatchObject({
      ...{ code: "INVALID_ARGUMENT", metadata: { field } },
    });
  });
});

describe("ClaimAgent", () => {
  it("makes an agent the account's that has the key, and stays so", async () => {
    const key = newKey();
    const { agentId } = await observe(key, "my-coder");
    const { proof } = hashesOf(key, "my-coder");
    const id = `github/dev-${accounts++}`;
    const claimed = toAgent(await claim(rig.account(id), agentId, proof));
    expect(claimed).toMatchObject({ claimed: true, owner: id, rekeyCount: 0 });
    expect(toAgent(await claim(rig.account(id), agentId, proof))).toEqual(claimed);
    for (const by of [newAccount(), rig.account("github/root", "owner")])
      await expect(claim(by, agentId, proof)).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
    expect(await get(agentId, rig.account(id))).toEqual(claimed);
  });

  it("goes to one of those who have the key and ask at once", async () => {
    const key = newKey();
    const { agentId } = await observe(key);
    const { proof } = hashesOf(key);
    const answers = await Promise.allSettled(
      Array.from({ length: 10 }, () => claim(newAccount(), agentId, proof)),
    );
    expect(answers.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  });

  it("needs the proof of the key: nothing else does, and every try is in the audit", async () => {
    const key = newKey();
    const { agentId } = await observe(key, "my-coder");
    const { proof } = hashesOf(key, "my-coder");
    const wrong = [wrongProof(), nearProof(proof), hashesOf(key).proof];
    for (const hashProof of wrong)
      await expect(claim(newAccount(), agentId, hashProof)).rejects.toMatchObject({
        ...{ code: "PERMISSION_DENIED", message: "hash_proof does not prove the agent's key" },
      });
    for (const hashProof of ["", proof.slice(0, 16), `${proof}00`, `${proof.slice(1)}g`, key])
      await expect(claim(newAccount(), agentId, hashProof)).rejects.toMatchObject({
        ...{ code: "INVALID_ARGUMENT", metadata: { field: "hash_proof" } },
        message: expect.not.stringContaining(key) as string,
      });
    expect(await get(agentId)).toMatchObject({ claimed: false });
    const { rows } = await rig.rotation.pool.query(
      "select outcome from rotation.audit where object_id = $1 and action = 'registered-agent.claim'",
      [agentId],
    );
    expect(rows).toEqual(wrong.map(() => ({ outcome: "refused" })));
  });
});

describe("DeactivateAgent", () => {
  it("frees the key of an unclaimed agent for whoever proves it, once and again", async () => {
    const key = newKey();
    const { agentId } = await observe(key);
    const { proof } = hashesOf(key);
    const by = newAccount();
    await expect(deactivate(by, agentId)).rejects.toMatchObject({
      ...{ code: "INVALID_ARGUMENT", metadata: { field: "hash_proof" } },
    });
    for (const wrong of [wrongProof(), nearProof(proof)])
      await expect(deactivate(by, agentId, wrong)).rejects.toMatchObject({
        ...{ code: "PERMISSION_DENIED" },
      });
    const done = toAgent(await deactivate(by, agentId, proof));
    expect(done).toMatchObject({ bound: false, keyPrefix: "", claimed: false });
    expect(done.deactivatedAt).toBeInstanceOf(Date);
    expect(toAgent(await deactivate(by, agentId, proof))).toEqual(done);
    expect((await observe(key)).created).toBe(true);
  });

  it.each([{ traces: 1n }, { scores: 1n }, { trustEdges: 1n }])(
    "refuses an unclaimed agent that something is recorded under: %p; its owner may",
    async (more) => {
      const key = newKey();
      const { agentId } = await observe(key);
      const { proof } = hashesOf(key);
      await rig.proxy().recordHistory({ agentId, history: { ...NONE, ...more } });
      const owner = newAccount();
      await expect(deactivate(owner, agentId, proof)).rejects.toMatchObject({
        ...{ code: "FAILED_PRECONDITION", metadata: { agent_id: agentId } },
        message: "the agent is unclaimed and has history: claim it first, then deactivate it",
      });
      await claim(owner, agentId, proof);
      expect(toAgent(await deactivate(owner, agentId))).toMatchObject({
        ...{ bound: false, claimed: true, history: { ...NONE, ...more } },
      });
    },
  );

  it("is not for others once it is claimed, not even with the proof", async () => {
    const key = newKey();
    const { agentId } = await rig.agentOf(newAccount(), key);
    for (const by of [newAccount(), rig.account("github/root", "owner")])
      await expect(deactivate(by, agentId, hashesOf(key).proof)).rejects.toMatchObject({
        ...{ code: "PERMISSION_DENIED" },
      });
    expect(await get(agentId, rig.account("github/root", "owner"))).toMatchObject({ bound: true });
  });

  it("leaves an agent that its owner can bind again, with all of its history", async () => {
    const owner = newAccount();
    const agent = await rig.agentOf(owner, newKey(), "my-coder");
    await deactivate(owner, agent.agentId);
    const { hash } = hashesOf(newKey(), "my-coder");
    const request = { agentId: agent.agentId, newKeyHash: hash, keyPrefix: "" };
    expect((await owner.rebindAgent(request)).agent).toMatchObject({
      ...{ agentId: agent.agentId, bound: true, deactivatedAt: undefined, rekeyCount: 1 },
    });
  });
});

it("recovery: the new key was used too early, its shadow agent is deactivated, the rebind succeeds", async () => {
  const owner = newAccount();
  const key = newKey();
  const agent = await rig.agentOf(owner, newKey(), "my-coder");
  const { hash, proof, prefix } = hashesOf(key, "my-coder");
  const shadow = await observe(key, "my-coder");
  const request = { agentId: agent.agentId, newKeyHash: hash, keyPrefix: prefix };
  const error = (await owner.rebindAgent(request).catch((it: unknown) => it)) as {
    metadata: Record<string, string>;
  };
  expect(error.metadata).toEqual({ conflict_agent_id: shadow.agentId });
  await deactivate(owner, error.metadata["conflict_agent_id"] ?? "", proof);
  expect((await owner.rebindAgent(request)).agent).toMatchObject({ rekeyCount: 1 });
  expect(await observe(key, "my-coder")).toEqual({ agentId: agent.agentId, created: false });
});

describe("RecordHistory", () => {
  it("keeps the highest counts that were told, whatever their order", async () => {
    const { agentId } = await observe(newKey());
    const proxy = rig.proxy();
    await proxy.recordHistory({ agentId, history: { traces: 5n, scores: 0n, trustEdges: 2n } });
    const told = { traces: 3n, scores: 1n, trustEdges: 2n };
    const { agent } = await proxy.recordHistory({ agentId, history: told });
    expect(agent?.history).toEqual({ traces: 5n, scores: 1n, trustEdges: 2n });
  });

  it("is for the operator's proxy and for admins, and names what is wrong", async () => {
    const { agentId } = await observe(newKey());
    await expect(
      newAccount().recordHistory({ agentId, history: { ...NONE, traces: 1n } }),
    ).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
    for (const [field, history] of [
      ["history", undefined],
      ["history.trust_edges", { ...NONE, trustEdges: -1n }],
    ] as const)
      await expect(rig.proxy().recordHistory({ agentId, history })).rejects.toMatchObject({
        ...{ code: "INVALID_ARGUMENT", metadata: { field } },
      });
  });
});

describe("ListBoundAgents", () => {
  const wish = {
    ...{ agentsOf: AgentsOf.AGENTS_OF_UNSPECIFIED, name: undefined },
    ...{ includeDeactivated: false, pageSize: 0, pageToken: "" },
  };

  it("shows one's own, newest first, by name where one is given", async () => {
    const owner = newAccount();
    const [a, unnamed, b] = [
      await rig.agentOf(owner, newKey(), "a"),
      await rig.agentOf(owner, newKey()),
      await rig.agentOf(owner, newKey(), "a"),
    ];
    await rig.agentOf(newAccount(), newKey(), "a");
    const ids = async (change: { name?: string; includeDeactivated?: boolean }) =>
      (await owner.listBoundAgents({ ...wish, ...change })).agents.map(({ agentId }) => agentId);
    expect(await ids({})).toEqual([b.agentId, unnamed.agentId, a.agentId]);
    expect(await ids({ name: "a" })).toEqual([b.agentId, a.agentId]);
    expect(await ids({ name: "" })).toEqual([unnamed.agentId]);
    expect(await ids({ name: "none" })).toEqual([]);
    const first = await owner.listBoundAgents({ ...wish, pageSize: 2 });
    const next = { ...wish, pageToken: first.nextPageToken };
    expect((await owner.listBoundAgents(next)).agents).toEqual([a]);
    await deactivate(owner, b.agentId);
    expect(await ids({ name: "a" })).toEqual([a.agentId]);
    expect(await ids({ name: "a", includeDeactivated: true })).toEqual([b.agentId, a.agentId]);
  });

  it("shows everybody's to admins, nobody's to all, and others' to no member", async () => {
    const [member, admin] = [newAccount(), rig.account("github/root", "admin")];
    const theirs = await rig.agentOf(newAccount(), newKey());
    const { agentId } = await observe(newKey());
    const [EVERYBODY, NOBODY] = [AgentsOf.AGENTS_OF_EVERYBODY, AgentsOf.AGENTS_OF_NOBODY];
    const ids = async (by: Client, agentsOf: AgentsOf) =>
      (await by.listBoundAgents({ ...wish, agentsOf })).agents.map((it) => it.agentId);
    expect((await ids(admin, EVERYBODY)).slice(0, 2)).toEqual([agentId, theirs.agentId]);
    const unclaimed = await ids(member, NOBODY);
    expect(unclaimed).toContain(agentId);
    expect(unclaimed).not.toContain(theirs.agentId);
    await expect(ids(member, EVERYBODY)).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
    await expect(get(theirs.agentId, member)).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
    await expect(ids(admin, AgentsOf.UNRECOGNIZED)).rejects.toMatchObject({
      ...{ code: "INVALID_ARGUMENT", metadata: { field: "agents_of" } },
    });
  });
});

it("no hash and no proof is in any row of the audit, and the proof in no row at all", async () => {
  const owner = newAccount();
  const [old, next] = [newKey(), newKey()];
  const { agentId } = await rig.agentOf(owner, old);
  await owner.rebindAgent({ agentId, newKeyHash: hashesOf(next).hash, keyPrefix: "" });
  await claim(owner, agentId, wrongProof());
  await deactivate(owner, agentId, hashesOf(next).proof);
  const tables = ["audit", "registered_agents", "attempts", "sealed_answers"];
  const texts = await Promise.all(
    tables.map(async (table) => {
      const { rows } = await rig.rotation.pool.query(
        `select t::text as row from rotation.${table} t`,
      );
      return JSON.stringify(rows);
    }),
  );
  expect(texts[0]).toContain(agentId);
  for (const key of [old, next]) {
    expect(texts[0]).not.toContain(hashesOf(key).hash);
    for (const text of texts) expect(text).not.toContain(hashesOf(key).proof);
    for (const text of texts) expect(text).not.toContain(key);
  }
});
