import { AgentsOf } from "../../../gen/murmur/rotation/v1/bindings";
import {
  type Bindings,
  hashesOf,
  newKey,
  startBindings,
  toAgent,
} from "../../../test/harness/bindings";
import type { RotationClients } from "../../../test/harness/rotation";

let rig: Bindings;
let owner: RotationClients;

beforeAll(async () => {
  rig = await startBindings();
  const who = { tenantId: "t1", role: "admin", id: "github/ann" } as const;
  owner = rig.rotation.clients(rig.catalog.developer(who));
});
afterAll(() => rig.stop());

const register = async (name: string) => {
  const wish = { invitation: "", name, requestId: "" };
  const agentId = (await owner.selfRotation.registerAgent(wish)).agent?.agentId ?? "";
  const rebind = async (key: string) =>
    toAgent(
      await owner.bindings.rebindAgent({
        ...{ agentId, newKeyHash: hashesOf(key, name).hash, keyPrefix: key.slice(0, 16) },
      }),
    );
  return { agentId, rebind };
};
const observe = (key: string, name: string) =>
  rig.proxy().observeKey({ agentHash: hashesOf(key, name).hash, name, keyPrefix: "" });

describe("an agent that registered by itself", () => {
  it("is bound to no key, belongs to its owner, and is bound by the first rebind", async () => {
    const { agentId, rebind } = await register("my-coder");
    expect(toAgent(await owner.bindings.getBoundAgent({ agentId }))).toMatchObject({
      ...{ name: "my-coder", claimed: true, owner: "github/ann", bound: false, rekeyCount: 0 },
    });
    const page = { includeDeactivated: false, pageSize: 0, pageToken: "" };
    const wish = { agentsOf: AgentsOf.AGENTS_OF_UNSPECIFIED, name: "my-coder" };
    const { agents } = await owner.bindings.listBoundAgents({ ...wish, ...page });
    expect(agents.map((it) => it.agentId)).toEqual([agentId]);
    const key = newKey();
    expect(await rebind(key)).toMatchObject({ bound: true, rekeyCount: 1 });
    expect(await observe(key, "my-coder")).toEqual({ agentId, created: false });
  });

  it("gives its key back when it is revoked, and is never bound again", async () => {
    const { agentId, rebind } = await register("my-tester");
    const key = newKey();
    await rebind(key);
    await owner.selfRotation.revokeAgent({ agentId });
    const revoked = toAgent(await owner.bindings.getBoundAgent({ agentId }));
    expect(revoked).toMatchObject({ bound: false, keyPrefix: "", rekeyCount: 1 });
    expect([revoked.revokedAt, revoked.deactivatedAt]).toEqual([
      expect.any(Date) as Date,
      expect.any(Date) as Date,
    ]);
    await expect(rebind(newKey())).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
    await expect(rebind(key)).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
    expect((await observe(key, "my-tester")).created).toBe(true);
  });

  it("is bound to nothing, however a rebind and its revocation meet", async () => {
    for (let round = 0; round < 8; round++) {
      await rig.pass(3600);
      const { agentId, rebind } = await register(`at-once-${round}`);
      await Promise.all([
        rebind(newKey()).catch(() => undefined),
        owner.selfRotation.revokeAgent({ agentId }),
      ]);
      expect(toAgent(await owner.bindings.getBoundAgent({ agentId }))).toMatchObject({
        ...{ bound: false, revokedAt: expect.any(Date) as Date },
      });
    }
  });
});
