import { type BoundAgent } from "../../../gen/murmur/rotation/v1/bindings";
import { isAppError } from "../../../lib/errors";
import { type Bindings, hashesOf, newKey, startBindings } from "../../../test/harness/bindings";

let rig: Bindings;

beforeAll(async () => {
  rig = await startBindings();
});
afterAll(() => rig.stop());

/** What may come of any of these calls while others do the same. */
const EXPECTED = ["ALREADY_EXISTS", "PERMISSION_DENIED", "FAILED_PRECONDITION", "ABORTED"];

it("all that can be done with a few keys, done at once by many, ends in one agent for a key and true counts", async () => {
  const keys = Array.from({ length: 4 }, newKey);
  const owners = Array.from({ length: 12 }, (_, n) => rig.account(`github/dev-${n}`));
  const agents = await Promise.all(owners.map((owner) => rig.agentOf(owner, newKey())));
  const rebound = new Map<string, number>();
  const outcomes = { ok: 0, refused: 0 };
  const settle = async <T>(call: Promise<T>): Promise<T | undefined> => {
    try {
      const answer = await call;
      outcomes.ok++;
      return answer;
    } catch (error) {
      if (!EXPECTED.some((code) => isAppError(error, code as "ABORTED"))) throw error;
      outcomes.refused++;
      return undefined;
    }
  };
  const once = async (who: number, round: number) => {
    const [owner, agent] = [owners[who], agents[who]];
    if (!owner || !agent) return;
    const { agentId } = agent;
    const { hash, proof } = hashesOf(keys[(who + round) % keys.length] ?? "");
    const changed = await settle(owner.rebindAgent({ agentId, newKeyHash: hash, keyPrefix: "" }));
    if (changed?.changed) rebound.set(agentId, (rebound.get(agentId) ?? 0) + 1);
    const seen = await settle(rig.proxy().observeKey({ agentHash: hash, name: "", keyPrefix: "" }));
    if (seen && seen.agentId !== agentId)
      await settle(owner.deactivateAgent({ agentId: seen.agentId, hashProof: proof }));
    if (round % 3 === who % 3) await settle(owner.deactivateAgent({ agentId, hashProof: "" }));
  };
  await Promise.all(
    owners.map(async (_owner, who) => {
      for (let round = 0; round < 10; round++) await once(who, round);
    }),
  );
  expect(outcomes.ok).toBeGreaterThan(50);
  expect(outcomes.refused).toBeGreaterThan(10);
  const root = rig.account("github/root", "owner");
  const get = async ({ agentId }: BoundAgent) => (await root.getBoundAgent({ agentId })).agent;
  for (const agent of agents)
    expect(await get(agent)).toMatchObject({ rekeyCount: rebound.get(agent.agentId) ?? 0 });
  for (const key of keys) {
    const { hash } = hashesOf(key);
    const { rows } = await rig.rotation.pool.query(
      "select agent_id from rotation.registered_agents where agent_hash = decode($1, 'hex')",
      [hash],
    );
    expect(rows.length).toBeLessThanOrEqual(1);
  }
});
