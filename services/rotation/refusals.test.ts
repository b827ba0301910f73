import { sensitive } from "../../lib/sensitive";
import { bearerCredentials } from "../../lib/identity/credentials";
import { FakeClock } from "../../test/fakes/fake-clock";
import { eventually } from "../../test/harness/eventually";
import { startFleet, type Fleet } from "../../test/harness/fleet";

describe("refused calls are audited", () => {
  /** Stands still while calls are refused: no row is written in the middle of them. */
  const clock = new FakeClock(new Date());
  let fleet: Fleet;
  beforeAll(async () => {
    fleet = await startFleet({ clock });
    fleet.machine("vm-1");
    await fleet.spawn("guarded");
  });
  afterAll(() => fleet.stop());

  const audited = async (actor: string) =>
    eventually(async () => {
      await clock.advance(5_000);
      const { rows } = await fleet.rotation.database.pool.query<{ peer: string; detail: unknown }>(
        `select tenant_id, actor_id, action, object_id, outcome, peer, detail
         from rotation.audit where actor_kind = $1 and outcome = 'refused'`,
        [actor],
      );
      expect(rows).toHaveLength(1);
      return rows[0];
    });

  it("of nobody knows whom: to the installation, counted, with the address", async () => {
    const forged = fleet.rotation.clients(bearerCredentials(sensitive("x.y.z")));
    for (let n = 0; n < 3; n++)
      await expect(forged.identity.getIdentity({})).rejects.toMatchObject({
        code: "UNAUTHENTICATED",
      });
    expect(await audited("unknown")).toMatchObject({
      tenant_id: "",
      object_id: "/murmur.rotation.v1.IdentityService/GetIdentity",
      peer: "127.0.0.1",
      detail: { count: 3 },
    });
  });

  it("of a known caller without the right: to the tenant, with the name", async () => {
    const request = { workspace: "backend", path: "guarded", callerAgentId: "" };
    const bob = fleet.developer("github/bob");
    await expect(bob.agents.killAgent(request)).rejects.toMatchObject({
      code: "PERMISSION_DENIED",
    });
    expect(await audited("developer")).toMatchObject({
      tenant_id: "t1",
      actor_id: "github/bob",
      object_id: "/murmur.rotation.v1.AgentService/KillAgent",
    });
  });
});
