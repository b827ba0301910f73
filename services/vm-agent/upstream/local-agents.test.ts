import { ReloadTarget } from "../../../gen/murmur/rotation/v1/agents";
import type { DesiredAgent } from "../../../gen/murmur/rotation/v1/vm_sync";
import { sensitive } from "../../../lib/sensitive";
import { connectVm, spawnRequest } from "../../../test/fakes/scripted-vm";
import { startCatalog, type TestCatalog, type TestVm } from "../../../test/harness/catalog";
import { eventually } from "../../../test/harness/eventually";
import { startRotation, type TestRotation } from "../../../test/harness/rotation";
import { createLocalAgents } from "./local-agents";

describe("a child that an agent spawns through its machine", () => {
  let catalog: TestCatalog;
  let rotation: TestRotation;
  let machine: TestVm;
  let parent: DesiredAgent;

  beforeAll(async () => {
    catalog = await startCatalog();
    rotation = await startRotation({ catalog });
    const owner = catalog.developer({ tenantId: "t1" });
    const { workspaces } = catalog.clients(owner);
    await workspaces.setWorkspace({ name: "backend", secretRefs: undefined, vms: [] });
    machine = await catalog.joinVm("t1", "vm-1");
    const vm = await connectVm({ client: rotation.clients(machine.credentials).vmSync });
    const request = spawnRequest({ workspace: "backend", slug: "parent" });
    await rotation.clients(owner).agents.spawnAgent(request);
    parent = await eventually(() => {
      const known = vm.desired.get(request.agentId);
      if (!known) throw new Error("the machine has not heard of the parent");
      return known;
    });
    vm.close();
  });
  afterAll(async () => {
    await rotation.stop();
    await catalog.stop();
  });

  const agents = () =>
    createLocalAgents({
      agents: rotation.clients(machine.credentials).agents,
      environments: catalog.clients(machine.credentials).environments,
      find: (agentId) => (agentId === parent.agentId ? parent : undefined),
      startTimeOf: (pid) => (pid === 4711 ? 99 : undefined),
      daemonStatus: () => ({}),
    });
  const spawn = (slug: string, env: Record<string, string>) =>
    agents().onSpawnChild(
      parent.agentId,
      {
        ...{ slug, argv: ["/bin/true"], workingDirectory: undefined },
        env: new Map(Object.entries(env).map(([name, value]) => [name, sensitive(value)])),
      },
      new AbortController().signal,
    );

  it.each([
    ["with", { TOKEN: "t" }, true],
    ["without", {}, false],
  ])("is known to be one %s values of its own", async (slug, env, expected) => {
    expect(await spawn(slug, env)).toMatchObject({ path: `parent/${slug}`, warnings: [] });
    const { rows } = await rotation.database.pool.query(
      "select expects_spawn_secrets, desired from rotation.agents where slug = $1",
      [slug],
    );
    expect(rows).toEqual([{ expects_spawn_secrets: expected, desired: 1n }]);
  });

  const adopt = (slug: string, pid: number) =>
    agents().onAdoptChild(
      parent.agentId,
      { slug, pid, env: new Map(), workingDirectory: undefined },
      new AbortController().signal,
    );
  const settingsOf = async (slug: string) => {
    const { rows } = await rotation.database.pool.query<{ settings: unknown }>(
      "select settings from rotation.agents where slug = $1",
      [slug],
    );
    return rows[0]?.settings;
  };

  it("can be a process that is there, and then nobody else's with its pid", async () => {
    expect(await adopt("adopted", 4711)).toMatchObject({ path: "parent/adopted" });
    expect(await settingsOf("adopted")).toMatchObject({ adopt: { pid: 4711, startTicks: "99" } });
    await expect(adopt("nothing", 4712)).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
      message: "there is no process 4712",
    });
    expect(await settingsOf("nothing")).toBeUndefined();
  });

  it("is a command of its own below a process that was adopted, and has the children's reload", async () => {
    const reload = (name: string) => ({
      how: { $case: "signal" as const, value: name },
      ...{ target: ReloadTarget.RELOAD_TARGET_PROCESS, timeoutMs: 0 },
    });
    parent = {
      ...parent,
      settings: {
        ...{ reload: reload("SIGHUP"), childReload: reload("SIGUSR1"), layersOff: ["node"] },
        ...{ git: [], docker: [], adopt: { pid: 5, startTicks: 5n, askedAt: new Date() } },
      },
    };
    await spawn("below", {});
    expect(await settingsOf("below")).toMatchObject({ reload: { signal: "SIGUSR1" } });
    expect(await settingsOf("below")).not.toHaveProperty("adopt");
    await adopt("beside", 4711);
    expect(await settingsOf("beside")).toMatchObject({
      ...{ adopt: { pid: 4711 }, reload: { signal: "SIGUSR1" }, layersOff: ["node"] },
    });
  });
});
