import { randomBytes, randomUUID } from "node:crypto";
import { systemClock } from "../../lib/clock";
import { rawPublicKey } from "../../lib/identity/signing-key";
import { silentLog } from "../../lib/log";
import { sensitive } from "../../lib/sensitive";
import { createDelivery } from "../../services/vm-agent/delivery/delivery";
import { createServerClock } from "../../services/vm-agent/identity/server-clock";
import type { FetchedEnvironment } from "../../services/vm-agent/reconcile/environment-source";
import { eventually } from "../harness/eventually";
import { startCatalog, type TestCatalog, type TestVm } from "../harness/catalog";
import { createCatalogTenant, type CatalogTenant } from "../harness/catalog-tenant";

const never = new AbortController().signal;
let catalog: TestCatalog;
let acme: CatalogTenant;
beforeAll(async () => {
  catalog = await startCatalog();
});
beforeEach(async () => {
  acme = await createCatalogTenant(catalog);
});
afterAll(() => catalog.stop());

/** The daemon's way to its sets, on a machine that has joined. */
async function daemonOf(vm: TestVm) {
  const { authorization = "" } = await vm.credentials("");
  const token = sensitive(authorization.replace("Bearer ", ""));
  const { tenantId, id: vmId, name } = vm;
  const deliveryPublicKeys = [rawPublicKey(catalog.catalogKey.publicKey)];
  return createDelivery({
    client: catalog.clients(vm.credentials).delivery,
    identity: {
      key: vm.identity,
      state: { tenantId, vmId, name, joinTokenHash: "-", deliveryPublicKeys },
      clock: createServerClock(systemClock),
      currentToken: () => Promise.resolve(token),
      refused: () => undefined,
    },
    incarnation: randomBytes(16),
    log: silentLog,
  });
}

/** Takes a snapshot and returns its generation with what was sealed ahead. */
async function snapshot(agent: ReturnType<CatalogTenant["agent"]>, requestId = "") {
  const { snapshots } = await acme.snapshot(agent, requestId);
  const { agentId, generation, sealedAhead } = snapshots[0]!;
  return { ref: { agentId, generation }, sealedAhead };
}

function shown(fetched: FetchedEnvironment | undefined) {
  if (!fetched || !("set" in fetched)) return undefined;
  const { set, fingerprint } = fetched;
  return { values: set.variables.map(({ value }) => value.expose().toString()), fingerprint };
}

it("what a VM fetched, and what was sealed ahead for it, is audited, each generation once", async () => {
  await acme.set("A", "1");
  const agent = acme.agent();
  const daemon = await daemonOf(acme.vm);
  const { ref: fetched } = await snapshot(agent);
  for (let n = 0; n < 3; n++) await daemon.fetch([fetched], never);
  await acme.set("A", "2");
  const { ref: ahead } = await snapshot(agent);
  await daemon.fetch([ahead], never);
  await eventually(async () => {
    const { rows } = await catalog.database.pool.query(
      `select actor_kind, actor_id, peer <> '' as has_peer, object_kind, outcome, detail - 'delivered_at' as detail
       from catalog.audit where tenant_id = $1 and action = 'generation.deliver' and object_id = $2
       order by detail->'generation'`,
      [acme.id, agent.agentId],
    );
    const row = { object_kind: "agent", outcome: "ok" };
    expect(rows).toEqual([
      {
        ...{ ...row, actor_kind: "vm", actor_id: acme.vm.id, has_peer: true },
        detail: { generation: 1, vm: acme.vm.id, ahead: false },
      },
      {
        ...{ ...row, actor_kind: "service", actor_id: "rotation", has_peer: false },
        detail: { generation: 2, vm: acme.vm.id, ahead: true },
      },
    ]);
  });
});

describe("a generation that is sealed ahead", () => {
  it("opens on its VM to what a fetch brings, and shows no value on its way", async () => {
    await acme.set("A", "first-value");
    const agent = acme.agent();
    const daemon = await daemonOf(acme.vm);
    await daemon.fetch([(await snapshot(agent)).ref], never);
    await acme.set("A", "second-value");
    const { ref, sealedAhead } = await snapshot(agent);
    expect(sealedAhead.includes("second-value")).toBe(false);
    const opened = daemon.openAhead(ref, sealedAhead);
    expect(shown(opened)).toMatchObject({ values: ["second-value"] });
    const [fetched] = await daemon.fetch([ref], never);
    expect(shown(opened)).toEqual(shown(fetched));
  });

  it("opens as nothing else, nowhere else, and not when a bit was changed", async () => {
    await acme.set("A", "1");
    const agent = acme.agent();
    const daemon = await daemonOf(acme.vm);
    await daemon.fetch([(await snapshot(agent)).ref], never);
    const { ref, sealedAhead } = await snapshot(agent);
    const other = await daemonOf(await catalog.joinVm(acme.id, "vm-2"));
    await other.fetch([ref], never);
    expect(other.openAhead(ref, sealedAhead)).toBeUndefined();
    expect(daemon.openAhead({ ...ref, agentId: randomUUID() }, sealedAhead)).toBeUndefined();
    expect(daemon.openAhead({ ...ref, generation: 1n }, sealedAhead)).toBeUndefined();
    for (let at = 0; at < sealedAhead.length; at += 7) {
      const changed = Buffer.from(sealedAhead);
      changed[at]! ^= 1;
      expect(daemon.openAhead(ref, changed)).toBeUndefined();
    }
    expect(daemon.openAhead(ref, sealedAhead)).toBeDefined();
  });

  it("is there for a VM with a session only, and not for one that has lost its rights", async () => {
    await acme.set("A", "1");
    const agent = acme.agent();
    const first = await snapshot(agent);
    expect(first.sealedAhead).toHaveLength(0);
    const daemon = await daemonOf(acme.vm);
    await daemon.fetch([first.ref], never);
    expect((await snapshot(agent)).sealedAhead).not.toHaveLength(0);
    await catalog.database.pool.query(
      "update catalog.vms set key_thumbprint = 'another' where tenant_id = $1",
      [acme.id],
    );
    expect((await snapshot(agent)).sealedAhead).toHaveLength(0);
  });

  it("is left out of a large snapshot, which is made all the same", async () => {
    await acme.set("A", "1");
    const agent = acme.agent();
    await (await daemonOf(acme.vm)).fetch([(await snapshot(agent)).ref], never);
    const agents = Array.from({ length: 101 }, () => acme.agent());
    const { snapshots } = await acme.snapshot(agents);
    expect(snapshots).toHaveLength(101);
    expect(snapshots.every(({ sealedAhead }) => sealedAhead.length === 0)).toBe(true);
  });
});
