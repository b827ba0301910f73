import { bearerCredentials } from "../../lib/identity/credentials";
import { sensitive } from "../../lib/sensitive";
import { FakeClock } from "../../test/fakes/fake-clock";
import { startCatalog, type TestCatalog } from "../../test/harness/catalog";
import { eventually } from "../../test/harness/eventually";

/** Stands still while calls are refused: no row is written in the middle of them. */
const clock = new FakeClock(new Date());
let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await startCatalog({ clock });
});
afterAll(() => catalog.stop());

it("refused credentials and rights are audited: who, what, from where, how often", async () => {
  const forged = catalog.clients(bearerCredentials(sensitive("x.y.z")));
  const member = catalog.clients(catalog.developer({ tenantId: "acme", role: "member" }));
  for (let n = 0; n < 3; n++)
    await expect(forged.secrets.getSecret({ name: "A" })).rejects.toThrow();
  await expect(member.secrets.deleteSecret({ name: "A" })).rejects.toThrow("permission denied");
  const rows = await eventually(async () => {
    await clock.advance(5_000);
    const found = await catalog.database.pool.query(
      `select tenant_id, actor_kind, actor_id, object_id, peer, detail from catalog.audit
       where outcome = 'refused' order by tenant_id`,
    );
    expect(found.rows).toHaveLength(2);
    return found.rows;
  });
  expect(rows).toEqual([
    {
      tenant_id: "",
      actor_kind: "unknown",
      actor_id: "",
      object_id: "/murmur.catalog.v1.SecretService/GetSecret",
      peer: "127.0.0.1",
      detail: { count: 3 },
    },
    {
      tenant_id: "acme",
      actor_kind: "developer",
      actor_id: "github/alice",
      object_id: "/murmur.catalog.v1.SecretService/DeleteSecret",
      peer: "127.0.0.1",
      detail: { count: 1 },
    },
  ]);
});
