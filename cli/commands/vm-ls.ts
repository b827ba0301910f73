import { type Vm } from "../../gen/murmur/catalog/v1/vms";
import { type Agent } from "../../gen/murmur/rotation/v1/agents";
import { isAppError } from "../../lib/errors";
import { allPages } from "../all-pages";
import { type CommandContext, type Run } from "../command";
import { relativeTime } from "../output/relative-time";
import { table } from "../output/table";

/** What rotation knows of a VM's agents. */
interface Load {
  agents: number;
  /** Agents that are not on the generation they should be on. */
  behind: number;
  /** Generations between the one that an agent is on and the one it should be on; the largest. */
  lag: number;
}

interface VmRow {
  vm: Vm;
  /** Undefined while rotation is away. */
  load: Load | undefined;
}

export const run: Run = async (context, call) => {
  const { output, clock } = context;
  const [vms, agents] = await Promise.all([listVms(context), listAgents(context)]);
  if (!agents) output.warn("rotation is away: nothing is known of agents");
  const rows = vms.map((vm) => ({ vm, load: agents && toLoad(vm, agents) }));
  if (call.flag("json")) output.json(rows.map(toJson));
  else output.lines(vmTable(rows, clock.now(), output.style.bold));
};

async function listVms(context: CommandContext): Promise<Vm[]> {
  const { vms } = await context.catalog();
  return allPages(
    (page) => vms.listVms({ ...page, name: undefined }),
    (page) => page.vms,
  );
}

async function listAgents(context: CommandContext): Promise<Agent[] | undefined> {
  const { agents } = await context.rotation();
  try {
    return await allPages(
      (page) => agents.listAgents({ workspace: "", includeEnded: false, ...page }),
      (page) => page.agents,
    );
  } catch (error) {
    if (isAppError(error, "UNAVAILABLE")) return undefined;
    throw error;
  }
}

function toLoad({ vmId }: Vm, agents: Agent[]): Load {
  const own = agents.filter((agent) => agent.vmId === vmId);
  const lags = own.map((agent) => Number(agent.desiredGeneration - agent.appliedGeneration));
  const behind = lags.filter((lag) => lag > 0).length;
  return { agents: own.length, behind, lag: Math.max(0, ...lags) };
}

function vmTable(rows: VmRow[], now: Date, paintTitle: (text: string) => string): string[] {
  return table(
    rows,
    [
      { title: "NAME", text: ({ vm }) => vm.name },
      { title: "LAST SEEN", text: ({ vm }) => relativeTime(vm.lastSeenAt, now) },
      { title: "AGENTS", text: ({ load }) => String(load?.agents ?? "?") },
      { title: "LAG", text: ({ load }) => (load ? lagWords(load) : "?") },
    ],
    paintTitle,
  );
}

function lagWords({ lag, behind }: Load): string {
  return lag === 0 ? "0" : `${lag} (${behind} ${behind === 1 ? "agent" : "agents"})`;
}

function toJson({ vm, load }: VmRow) {
  return {
    name: vm.name,
    vm_id: vm.vmId,
    joined_at: vm.joinedAt,
    last_seen_at: vm.lastSeenAt,
    agents: load?.agents,
    agents_behind: load?.behind,
    generation_lag: load?.lag,
  };
}
