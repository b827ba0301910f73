import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startCatalog, type TestCatalog } from "../../../test/harness/catalog";
import { createCatalogTenant, type CatalogTenant } from "../../../test/harness/catalog-tenant";
import { SecretDelivery } from "../../../gen/murmur/catalog/v1/secrets";
import { systemClock } from "../../../lib/clock";
import { silentLog } from "../../../lib/log";
import { sensitive } from "../../../lib/sensitive";
import { openVmIdentity } from "../identity/open-vm-identity";
import type { VmIdentity } from "../identity/vm-identity";
import { createDelivery } from "./delivery";

let catalog: TestCatalog;
let tenant: CatalogTenant;
const directories: string[] = [];
const never = new AbortController().signal;

beforeAll(async () => {
  catalog = await startCatalog();
  tenant = await createCatalogTenant(catalog);
});
afterAll(async () => {
  await catalog.stop();
  for (const directory of directories) fs.rmSync(directory, { recursive: true });
});

/** A daemon's way to its sets, on a machine that has just joined. */
async function startVm(name: string) {
  const directory = fs.mkdtempSync(join(tmpdir(), "murmur-identity-"));
  directories.push(directory);
  const { joinToken } = await tenant.owner.vms.issueJoinToken({ name });
  const client = catalog.clients().vms;
  const deps = { directory, client, clock: systemClock, log: silentLog };
  const identity = await openVmIdentity({ ...deps, joinToken: sensitive(joinToken) }, never);
  return { identity, delivery: deliveryOf(identity) };
}

function deliveryOf(identity: VmIdentity) {
  const client = catalog.clients(identity.credentials()).delivery;
  return createDelivery({ client, identity, incarnation: randomBytes(16), log: silentLog });
}

describe("a set of the catalog", () => {
  it("arrives byte for byte, with the fingerprint that the rotation service was told", async () => {
    const value = "line\n\"quoted\" 'single' $HOME \\ = # é";
    await tenant.set("FROM_CATALOG", value);
    const bytes = Buffer.from([0xff, 0xfe, 1, 2]);
    await tenant.set("AS_FILE", bytes, SecretDelivery.SECRET_DELIVERY_FILE);
    const { identity, delivery } = await startVm("from-1");
    const agent = tenant.agent({ vmId: identity.state.vmId });
    const { snapshots } = await tenant.snapshot(agent);
    const { generation, fingerprint } = snapshots[0]!;
    const [fetched] = await delivery.fetch([{ agentId: agent.agentId, generation }], never);
    if (!fetched || !("set" in fetched)) throw new Error("no set");
    const variables = new Map(fetched.set.variables.map((each) => [each.name, each]));
    expect(variables.get("FROM_CATALOG")?.value.expose()).toEqual(Buffer.from(value));
    expect(variables.get("AS_FILE")).toMatchObject({ delivery: "file" });
    expect(variables.get("AS_FILE")?.value.expose()).toEqual(bytes);
    expect(fetched.fingerprint).toEqual(fingerprint);
  });

  it("is not for another VM of the tenant, nor for its own once it was removed", async () => {
    await tenant.set("ONE", "1");
    const { identity, delivery } = await startVm("from-2");
    const other = await startVm("from-3");
    const agent = tenant.agent({ vmId: identity.state.vmId });
    const { snapshots } = await tenant.snapshot(agent);
    const ref = { agentId: agent.agentId, generation: snapshots[0]!.generation };
    expect(await other.delivery.fetch([ref], never)).toEqual([
      { ...ref, refusal: "not-available" },
    ]);
    expect((await delivery.fetch([ref], never))[0]).toHaveProperty("set");
    await tenant.owner.vms.removeVm({ name: "from-2" });
    await expect(delivery.fetch([ref], never)).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
  });

  it("is not for a machine whose name and id another one has taken over", async () => {
    await tenant.set("ONE", "1");
    const before = await startVm("from-6");
    const agent = tenant.agent({ vmId: before.identity.state.vmId });
    const { snapshots } = await tenant.snapshot(agent);
    const ref = { agentId: agent.agentId, generation: snapshots[0]!.generation };
    expect((await before.delivery.fetch([ref], never))[0]).toHaveProperty("set");
    const heir = await startVm("from-6");
    expect(heir.identity.state.vmId).toBe(before.identity.state.vmId);
    // The session and the token are still the ones of a minute ago; the key is not.
    await expect(before.delivery.fetch([ref], never)).rejects.toMatchObject({
      code: "UNAUTHENTICATED",
    });
    expect((await heir.delivery.fetch([ref], never))[0]).toHaveProperty("set");
  });

  it("is not for a machine to whose id its row was moved", async () => {
    await tenant.set("ONE", "1");
    const { identity } = await startVm("from-4");
    const thief = await startVm("from-5");
    const agent = tenant.agent({ vmId: identity.state.vmId });
    const { snapshots } = await tenant.snapshot(agent);
    const ref = { agentId: agent.agentId, generation: snapshots[0]!.generation };
    await thief.delivery.fetch([ref], never);
    // The generation is given to the thief's VM: its own MAC does not cover that.
    await catalog.database.pool.query(
      "update catalog.generations set vm_id = $2 where agent_id = $1",
      [agent.agentId, thief.identity.state.vmId],
    );
    expect(await thief.delivery.fetch([ref], never)).toEqual([{ ...ref, refusal: "tampered" }]);
  });
});
