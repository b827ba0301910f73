import { eventually } from "../../../test/harness/eventually";
import { randomUUID } from "node:crypto";
import type { AppError } from "../../../lib/errors";
import type { BoundAgent } from "../../../gen/murmur/rotation/v1/bindings";
import {
  type Bindings,
  hashesOf,
  newKey,
  startBindings,
  toAgent,
} from "../../../test/harness/bindings";
import type { RotationClients } from "../../../test/harness/rotation";
import { postgresBindingStore } from "./store/postgres-binding-store";

type Client = RotationClients["bindings"];

let rig: Bindings;
let accounts = 0;

beforeAll(async () => {
  rig = await startBindings();
});
afterAll(() => rig.stop());

const nextAccount = () => `github/dev-${accounts++}`;
const newAccount = () => rig.account(nextAccount());
const rebind = (by: Client, { agentId }: { agentId: string }, key: string, name = "") => {
  const { hash, prefix } = hashesOf(key, name);
  return by.rebindAgent({ agentId, newKeyHash: hash, keyPrefix: prefix });
};
const verify = async (by: Client, { agentId }: { agentId: string }, key: string, name = "") =>
  (await by.verifyBinding({ agentId, keyHash: hashesOf(key, name).hash })).bound;
const get = async (by: Client, { agentId }: { agentId: string }) =>
  toAgent(await by.getBoundAgent({ agentId }));
/** All that the error says of the agent that has the key. */
const conflictOf = (agent?: BoundAgent): unknown => ({
  ...{ code: "ALREADY_EXISTS", message: "new key is already bound to another agent" },
  metadata: agent ? { conflict_agent_id: agent.agentId } : {},
});
const said = (error: unknown) => {
  const { code, message, metadata } = error as AppError;
  return { code, message, metadata };
};
const refusal = (call: Promise<unknown>) =>
  call.then(
    () => "it was let through",
    (error: unknown) => said(error),
  );

describe("RebindAgent", () => {
  it("swaps the key, keeps id, name and history, and counts", async () => {
    const owner = newAccount();
    const [old, next] = [newKey(), newKey()];
    const before = await rig.agentOf(owner, old, "my-coder");
    const history = { traces: 12n, scores: 3n, trustEdges: 1n };
    await rig.proxy().recordHistory({ agentId: before.agentId, history });
    const { agent, rekeyedAt, changed } = await rebind(owner, before, next, "my-coder");
    expect(agent).toEqual({
      ...before,
      ...{ keyPrefix: next.slice(0, 16), rekeyedAt, rekeyCount: 1, observedAt: undefined, history },
    });
    expect(changed).toBe(true);
    expect(rekeyedAt?.getTime()).toBeGreaterThanOrEqual(before.createdAt?.getTime() ?? 0);
    expect(await verify(owner, before, next, "my-coder")).toBe(true);
    expect(await verify(owner, before, next)).toBe(false);
    expect(await verify(owner, before, old, "my-coder")).toBe(false);
  });

  it("makes requests under the old key another agent's, and those under the new one this one's", async () => {
    const owner = newAccount();
    const [old, next] = [newKey(), newKey()];
    const agent = await rig.agentOf(owner, old);
    await rebind(owner, agent, next);
    const seen = { name: "", keyPrefix: "" };
    const proxy = rig.proxy();
    expect(await proxy.observeKey({ ...seen, agentHash: hashesOf(next).hash })).toEqual({
      ...{ agentId: agent.agentId, created: false },
    });
    const shadow = await proxy.observeKey({ ...seen, agentHash: hashesOf(old).hash });
    expect(shadow.created).toBe(true);
    expect(shadow.agentId).not.toBe(agent.agentId);
  });

  it("replaces the prefix, and clears it when none is given", async () => {
    const owner = newAccount();
    const agent = await rig.agentOf(owner, newKey());
    const rebound = await owner.rebindAgent({
      ...{ agentId: agent.agentId, newKeyHash: hashesOf(newKey()).hash, keyPrefix: "" },
    });
    expect(agent.keyPrefix).not.toBe("");
    expect(rebound.agent).toMatchObject({ keyPrefix: "", rekeyCount: 1 });
  });

  it("with the key that it has changes nothing and counts nothing, however often", async () => {
    const owner = newAccount();
    const key = newKey();
    const agent = await rig.agentOf(owner, key);
    for (let n = 0; n < 12; n++)
      expect(await rebind(owner, agent, key)).toEqual({
        ...{ agent, rekeyedAt: agent.createdAt, changed: false },
      });
    expect((await rebind(owner, agent, newKey())).changed).toBe(true);
  });

  it("does not give a key the prefix of the one before it, that a late call still had in hand", async () => {
    const owner = newAccount();
    const [old, next] = [hashesOf(newKey()), hashesOf(newKey())];
    const { agentId } = await rig.agentOf(owner, newKey());
    await owner.rebindAgent({ agentId, newKeyHash: next.hash, keyPrefix: "" });
    const late = { hash: Buffer.from(old.hash, "hex"), keyPrefix: old.prefix };
    const ref = { tenantId: "t1", id: agentId };
    expect(await postgresBindingStore.fillPrefix(rig.rotation.pool, ref, late)).toBeUndefined();
    expect((await get(owner, { agentId })).keyPrefix).toBe("");
  });

  it("with the key that it has keeps the prefix, and fills it where it was not known", async () => {
    const owner = newAccount();
    const key = newKey();
    const agent = await rig.agentOf(owner, newKey());
    const { hash, prefix } = hashesOf(key);
    const request = { agentId: agent.agentId, newKeyHash: hash };
    await owner.rebindAgent({ ...request, keyPrefix: "" });
    for (const keyPrefix of [prefix, "", "another"])
      expect((await owner.rebindAgent({ ...request, keyPrefix })).agent).toMatchObject({
        ...{ keyPrefix: prefix, rekeyCount: 1 },
      });
  });

  it("is refused when the key is another's: which, is said of one's own and of unclaimed ones only", async () => {
    const [owner, other] = [newAccount(), newAccount()];
    const [mine, key, taken, seen] = [newKey(), newKey(), newKey(), newKey()];
    const agent = await rig.agentOf(owner, mine);
    const own = await rig.agentOf(owner, key);
    await rig.agentOf(other, taken);
    const { agentId } = await rig.proxy().observeKey({
      ...{ agentHash: hashesOf(seen).hash, name: "", keyPrefix: "" },
    });
    expect(await refusal(rebind(owner, agent, key))).toEqual(conflictOf(own));
    expect(await refusal(rebind(owner, agent, taken))).toEqual(conflictOf());
    const shadow = await get(owner, { agentId });
    expect(await refusal(rebind(owner, agent, seen))).toEqual(conflictOf(shadow));
    expect(await get(owner, agent)).toEqual(agent);
  });

  it("is for the account that claimed it: not for others, not for admins, not while it is unclaimed", async () => {
    const owner = newAccount();
    const agent = await rig.agentOf(owner, newKey());
    const denied = { code: "PERMISSION_DENIED" };
    for (const by of [newAccount(), rig.account("github/root", "owner")])
      await expect(rebind(by, agent, newKey())).rejects.toMatchObject(denied);
    const agentHash = hashesOf(newKey()).hash;
    const seen = await rig.proxy().observeKey({ agentHash, name: "", keyPrefix: "" });
    await expect(rebind(owner, seen, newKey())).rejects.toMatchObject({
      ...{ ...denied, message: "the agent is unclaimed: claim it first" },
    });
    expect(await get(owner, agent)).toEqual(agent);
  });

  it("gives a key to one of many that ask for it at once, and tells the others which", async () => {
    const owner = newAccount();
    const agents = await Promise.all(Array.from({ length: 8 }, () => rig.agentOf(owner, newKey())));
    const key = newKey();
    const answers = await Promise.allSettled(agents.map((agent) => rebind(owner, agent, key)));
    const won = answers.flatMap((it) => (it.status === "fulfilled" ? [it.value.agent] : []));
    expect(won).toHaveLength(1);
    const lost = answers.flatMap((it) => (it.status === "rejected" ? [it.reason as unknown] : []));
    expect(lost).toHaveLength(7);
    for (const reason of lost) expect(said(reason)).toEqual(conflictOf(won[0]));
    const holders = await Promise.all(agents.map((agent) => verify(owner, agent, key)));
    expect(holders.filter(Boolean)).toHaveLength(1);
  });

  it("and a request under the key at the same moment leave one agent with it", async () => {
    const owner = newAccount();
    for (let round = 0; round < 10; round++) {
      const agent = await rig.agentOf(owner, newKey());
      const key = newKey();
      const seen = { agentHash: hashesOf(key).hash, name: "", keyPrefix: "" };
      await rig.pass(3600);
      const [rebound, observed] = await Promise.all([
        rebind(owner, agent, key).catch((error: unknown) => error),
        rig.proxy().observeKey(seen),
      ]);
      const holder = await rig.proxy().observeKey(seen);
      expect(holder).toEqual({ agentId: observed.agentId, created: false });
      if (observed.created) expect(rebound).toMatchObject({ code: "ALREADY_EXISTS" });
      else expect(observed.agentId).toBe(agent.agentId);
    }
  });

  it("is let through 10 times an hour per account, and says when again", async () => {
    const id = nextAccount();
    const owner = rig.account(id);
    const agent = await rig.agentOf(owner, newKey());
    for (let n = 0; n < 10; n++) await rebind(owner, agent, newKey());
    const tooMany = {
      ...{ code: "RESOURCE_EXHAUSTED", message: "Too many rebinds (max 10 per hour)" },
      retryAfterMs: expect.any(Number) as number,
    };
    await expect(rebind(owner, agent, newKey())).rejects.toMatchObject(tooMany);
    // Not by another key of the account's, in another role.
    await expect(rebind(rig.account(id, "admin"), agent, newKey())).rejects.toMatchObject(tooMany);
    await audited({ action: "rebind", limit: "agent-rebinds", id, agent }, 2);
    expect(await get(owner, agent)).toMatchObject({ rekeyCount: 10 });
    const other = newAccount();
    await rebind(other, await rig.agentOf(other, newKey()), newKey());
    await rig.pass(3601);
    expect((await rebind(owner, agent, newKey())).agent).toMatchObject({ rekeyCount: 11 });
  });

  it("counts what was refused, too: it would tell which keys are in use", async () => {
    const owner = newAccount();
    const agent = await rig.agentOf(owner, newKey());
    const taken = newKey();
    await rig.agentOf(newAccount(), taken);
    for (let n = 0; n < 10; n++)
      await expect(rebind(owner, agent, taken)).rejects.toMatchObject({ code: "ALREADY_EXISTS" });
    await expect(rebind(owner, agent, taken)).rejects.toMatchObject({ code: "RESOURCE_EXHAUSTED" });
  });

  it.each([
    ["new_key_hash", { newKeyHash: "" }],
    ["new_key_hash", { newKeyHash: "3F247B0F0AC4ECB8" }],
    ["new_key_hash", { newKeyHash: "3f247b0f0ac4ecb" }],
    ["new_key_hash", { newKeyHash: "3f247b0f0ac4ecb8\n" }],
    ["new_key_hash", { newKeyHash: "sk-ant-api03-pasted-by-mistake" }],
    ["key_prefix", { keyPrefix: "sk-ant-api03-pasted-by-mistake" }],
    ["key_prefix", { keyPrefix: "sk ant" }],
    ["agent_id", { agentId: "sk-ant-api03-pasted-by-mistake" }],
    ["agent_id", { agentId: "" }],
  ])("names %s when it is wrong, and does not show it again: %j", async (field, change) => {
    const good = { agentId: randomUUID(), newKeyHash: "3f247b0f0ac4ecb8", keyPrefix: "" };
    const error = (await newAccount()
      .rebindAgent({ ...good, ...change })
      .catch((it: unknown) => it)) as { message: string };
    expect(error).toMatchObject({ code: "INVALID_ARGUMENT", metadata: { field } });
    expect(JSON.stringify(error) + error.message).not.toContain("pasted");
  });
});

describe("VerifyBinding", () => {
  it("says whether the key is the agent's and shows the prefix, either way", async () => {
    const owner = newAccount();
    const key = newKey();
    const { agentId } = await rig.agentOf(owner, key);
    const keyPrefix = key.slice(0, 16);
    const wrong = hashesOf(newKey()).hash;
    expect(await owner.verifyBinding({ agentId, keyHash: hashesOf(key).hash })).toEqual({
      ...{ bound: true, keyPrefix },
    });
    expect(await owner.verifyBinding({ agentId, keyHash: wrong })).toEqual({
      ...{ bound: false, keyPrefix },
    });
  });

  it("is let through 60 times an hour per account, whatever came of it", async () => {
    const id = nextAccount();
    const owner = rig.account(id);
    const key = newKey();
    const agent = await rig.agentOf(owner, key);
    for (let n = 0; n < 58; n++) await verify(owner, agent, n % 2 === 0 ? key : "another");
    const nobody = verify(owner, { agentId: randomUUID() }, key);
    await expect(nobody).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect(await verify(owner, agent, key)).toBe(true);
    await expect(verify(owner, agent, key)).rejects.toMatchObject({
      ...{ code: "RESOURCE_EXHAUSTED", message: "Too many verifications (max 60 per hour)" },
    });
    await audited({ action: "verify-binding", limit: "binding-verifies", id, agent }, 1);
    // Rebinds are counted apart.
    expect((await rebind(owner, agent, newKey())).changed).toBe(true);
  });

  it("is for the owner, for admins, and for all while nobody has claimed it", async () => {
    const key = newKey();
    const agent = await rig.agentOf(newAccount(), key);
    await expect(verify(newAccount(), agent, key)).rejects.toMatchObject({
      ...{ code: "PERMISSION_DENIED" },
    });
    expect(await verify(rig.account("github/root", "admin"), agent, key)).toBe(true);
    const unclaimed = newKey();
    const agentHash = hashesOf(unclaimed).hash;
    const seen = await rig.proxy().observeKey({ agentHash, name: "", keyPrefix: "" });
    expect(await verify(newAccount(), seen, unclaimed)).toBe(true);
  });
});

/** Attempts over a limit are in the audit, with a count and without a hash. */
async function audited(
  tried: { action: string; limit: string; id: string; agent: { agentId: string } },
  count: number,
): Promise<void> {
  await eventually(async () => {
    const { rows } = await rig.rotation.pool.query<{ count: number; names: string }>(
      `select coalesce(sum((detail->>'count')::int), 0)::int as count,
         string_agg(distinct (select string_agg(k, ' ' order by k)
           from jsonb_object_keys(detail) as k), '/') as names
       from rotation.audit where tenant_id = 't1' and outcome = 'refused' and action = $1
         and actor_id = $2 and object_id = $3 and detail->>'limit' = $4`,
      [`registered-agent.${tried.action}`, tried.id, tried.agent.agentId, tried.limit],
    );
    expect(rows).toEqual([{ count, names: "count limit" }]);
  });
}
