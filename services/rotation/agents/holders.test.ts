import { SecretScope } from "../../../gen/murmur/catalog/v1/environments";
import { AgentPhase, HeldScope, type Holder } from "../../../gen/murmur/rotation/v1/agents";
import { processMessage } from "../../../test/fakes/process-message";
import type { ScriptedVm } from "../../../test/fakes/scripted-vm";
import { eventually } from "../../../test/harness/eventually";
import { startFleet, type Fleet } from "../../../test/harness/fleet";
import type { RotationClients } from "../../../test/harness/rotation";

const { HELD_SCOPE_TENANT: TENANT, HELD_SCOPE_SPAWN: SPAWN } = HeldScope;

describe("who has a secret", () => {
  let fleet: Fleet;
  let vm: ScriptedVm;
  /** What the catalog says: version by agent and generation; 0 is a generation that is not kept. */
  let pinned: Map<string, bigint>;
  let scope: SecretScope;

  beforeEach(async () => {
    pinned = new Map();
    scope = SecretScope.SECRET_SCOPE_TENANT;
    fleet = await startFleet();
    vm = await fleet.connect(fleet.machine("vm-1"));
    fleet.catalog.findPins = ({ generations }) => {
      const known = generations.map((it) => ({
        ...it,
        version: pinned.get(`${it.agentId}@${it.generation}`),
      }));
      return {
        pins: known.flatMap(({ version, ...it }) => (version ? [{ ...it, version, scope }] : [])),
        unknown: known.filter(({ version }) => version === 0n),
        hadAgentIds: [...new Set([...pinned.keys()].map((key) => key.split("@")[0]!))],
      };
    };
  });
  afterEach(() => fleet.stop());

  const pin = (agentId: string, generation: bigint, version: bigint) =>
    pinned.set(`${agentId}@${generation}`, version);
  const list = async (
    change: { version?: bigint; workspace?: string; pageSize?: number } = {},
    by: RotationClients = fleet.owner,
  ): Promise<Holder[]> => {
    const request = { secretName: "A", version: 0n, workspace: "", pageSize: 0, ...change };
    const holders: Holder[] = [];
    for (let pageToken = ""; ;) {
      const page = await by.agents.listHolders({ ...request, pageToken });
      holders.push(...page.holders);
      pageToken = page.nextPageToken;
      if (pageToken === "") return holders;
    }
  };
  const applied = async (agentId: string, generation: bigint) => {
    await eventually(() => {
      expect(vm.desired.get(agentId)?.generation).toBe(generation);
    });
    vm.ack(agentId);
    await eventually(async () => {
      const { agents } = await fleet.owner.agents.listAgents({
        ...{ workspace: "", includeEnded: false, pageSize: 0, pageToken: "" },
      });
      const agent = agents.find((it) => it.agentId === agentId);
      expect(agent?.appliedGeneration).toBe(generation);
    });
  };

  it("is told by what the VM has acked, and by what may be on its way", async () => {
    const { agentId } = await fleet.spawn("fix-auth");
    pin(agentId, 1n, 4n);
    expect(await list()).toMatchObject([
      { agent: { path: "fix-auth" }, coming: [{ generation: 1n, version: 4n }], processes: [] },
    ]);
    expect((await list())[0]?.files).toBeUndefined();
    await applied(agentId, 1n);
    expect(await list()).toMatchObject([
      { files: { generation: 1n, version: 4n, scope: TENANT }, coming: [] },
    ]);
    await fleet.rekey("fix-auth");
    pin(agentId, 2n, 5n);
    const [both] = await list();
    expect(both).toMatchObject({ files: { version: 4n }, coming: [{ version: 5n }] });
    expect(await list({ version: 5n })).toMatchObject([{ coming: [{ version: 5n }] }]);
    expect((await list({ version: 5n }))[0]?.files).toBeUndefined();
    expect(await list({ version: 6n })).toEqual([]);
  });

  it("names processes by what each has taken over, and those that cannot be told", async () => {
    const { agentId } = await fleet.spawn("fix-auth");
    const { agentId: never } = await fleet.spawn("never-had-it");
    await applied(agentId, 1n);
    await fleet.rekey("fix-auth");
    await applied(agentId, 2n);
    await applied(never, 1n);
    pin(agentId, 1n, 1n);
    const processes = [
      processMessage({ pid: 41, name: "node", generation: 1n }),
      processMessage({ pid: 42, name: "bash", generation: 2n }),
      processMessage({ pid: 43, name: "java", generation: 0n }),
    ];
    const phase = AgentPhase.AGENT_PHASE_RUNNING;
    const agents = [agentId, never].map((id) => ({ agentId: id, phase, processes }));
    vm.send({ agents: agents.map((it) => ({ ...it, exitStatus: undefined })) });
    await eventually(async () => {
      expect(await list({ version: 1n })).toMatchObject([
        {
          agent: { path: "fix-auth" },
          processes: [
            { pid: 41, name: "node", held: { generation: 1n, version: 1n } },
            { pid: 43, name: "java", held: { generation: 0n, version: 0n } },
          ],
        },
      ]);
    });
    pin(agentId, 1n, 0n);
    expect((await list({ version: 9n }))[0]?.processes).toMatchObject([
      { pid: 41, held: { generation: 1n, version: 0n } },
      { pid: 43 },
    ]);
  });

  it("is listed page by page, for one workspace or for all", async () => {
    fleet.catalog.workspaces.set("t1/frontend", []);
    for (const slug of ["a", "b", "c"]) pin((await fleet.spawn(slug)).agentId, 1n, 1n);
    const { agentId } = await fleet.spawn("z", { workspace: "frontend" });
    pin(agentId, 1n, 1n);
    const paths = (holders: Holder[]) => holders.map(({ agent }) => agent?.path);
    expect(paths(await list({ pageSize: 1 }))).toEqual(["a", "b", "c", "z"]);
    expect(paths(await list({ workspace: "frontend" }))).toEqual(["z"]);
  });

  it("an agent's own secrets are told to who manages it, and to nobody else", async () => {
    const { agentId } = await fleet.spawn("fix-auth");
    scope = SecretScope.SECRET_SCOPE_SPAWN;
    pin(agentId, 1n, 1n);
    expect(await list()).toMatchObject([{ coming: [{ scope: SPAWN }] }]);
    expect(await list({}, fleet.developer("github/bob"))).toEqual([]);
    expect(await list({}, fleet.developer("github/alice"))).toHaveLength(1);
    scope = SecretScope.SECRET_SCOPE_TENANT;
    expect(await list({}, fleet.developer("github/bob"))).toHaveLength(1);
  });

  it("refuses a version below 0 and a page token of another list", async () => {
    await expect(list({ version: -1n })).rejects.toMatchObject({ metadata: { field: "version" } });
    const request = { secretName: "A", version: 0n, workspace: "", pageSize: 0, pageToken: "xx" };
    await expect(fleet.owner.agents.listHolders(request)).rejects.toMatchObject({
      metadata: { field: "page_token" },
    });
  });
});
