import type { FakeVm } from "../../test/fakes/fake-catalog";
import { sensitive } from "../../lib/sensitive";
import { createTestDatabase, type TestDatabase } from "../../test/harness/postgres";
import { eventually } from "../../test/harness/eventually";
import { startFleet, type Fleet } from "../../test/harness/fleet";
import { startTcpProxy, type TcpProxy } from "../../test/harness/tcp-proxy";

describe("while PostgreSQL is away", () => {
  let database: TestDatabase;
  let proxy: TcpProxy;
  let fleet: Fleet;

  beforeAll(async () => {
    database = await createTestDatabase("rotation");
    const url = new URL(database.url.expose());
    proxy = await startTcpProxy({ host: url.hostname, port: Number(url.port) });
    url.hostname = "127.0.0.1";
    url.port = String(proxy.port);
    fleet = await startFleet({ beside: { database }, databaseUrl: sensitive(url.href) });
    fleet.machine("vm-1");
  });

  afterAll(async () => {
    proxy.heal();
    await fleet.stop();
    await proxy.close();
    await database.drop();
  });

  /** Comes back until it is told its state, as a daemon does. */
  const served = async (machine: FakeVm) =>
    eventually(async () => {
      const vm = await fleet.connect(machine, { endsWhenBehind: true });
      let failure: unknown;
      void vm.ended.then((error) => {
        failure = error ?? new Error("the stream ended");
      });
      await eventually(() => {
        expect(failure ?? vm.received[0]).toBeDefined();
      });
      if (failure !== undefined) throw failure as Error;
      return vm;
    });

  const away = { code: "UNAVAILABLE", retryAfterMs: expect.any(Number) as number };

  it.each([
    ["cut", (p: TcpProxy) => p.cut()],
    ["frozen", (p: TcpProxy) => p.freeze()],
  ])(
    "(%s) calls fail with the time of a retry, and all works again by itself",
    async (how, fail) => {
      const slug = `agent-${how}`;
      await eventually(() => fleet.spawn(slug));
      fail(proxy);
      // One that only its caller's deadline ends says DEADLINE_EXCEEDED.
      await Promise.all([
        expect(fleet.rekey(slug)).rejects.toMatchObject(away),
        expect(fleet.spawn(`${slug}-2`)).rejects.toMatchObject(away),
        expect(
          fleet.owner.agents.getAgent({ workspace: "backend", path: slug }),
        ).rejects.toMatchObject(away),
        expect(fleet.owner.vmSync.listVmStatuses({})).rejects.toMatchObject(away),
      ]);
      proxy.heal();
      const { rollout } = await eventually(() => fleet.rekey(slug));
      expect(rollout).toMatchObject({ path: slug });
      await eventually(() => fleet.spawn(`${slug}-2`));
    },
  );

  it.each([
    ["cut", (p: TcpProxy) => p.cut()],
    ["frozen", (p: TcpProxy) => p.freeze()],
  ])("(%s) a replica closes its streams, and serves them when it sees again", async (how, fail) => {
    const machine = fleet.machine(`vm-${how}`);
    const agent = await eventually(() => fleet.spawn(`on-${how}`, { vm: machine.name }));
    const vm = await served(machine);
    expect(vm.desired.has(agent.agentId)).toBe(true);
    fail(proxy);
    const startMs = performance.now();
    expect(await vm.ended).toMatchObject({ code: "UNAVAILABLE" });
    expect(performance.now() - startMs).toBeLessThan(15_000);
    const early = await fleet.connect(machine, { endsWhenBehind: true });
    expect(await early.ended).toMatchObject({ code: "UNAVAILABLE" });
    proxy.heal();
    await served(machine);
  });
});
