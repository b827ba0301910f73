import { type Vm } from "../../gen/murmur/catalog/v1/vms";
import { type Agent } from "../../gen/murmur/rotation/v1/agents";
import { allPages } from "../all-pages";
import { type CommandContext, type Run } from "../command";
import { relativeTime } from "../output/relative-time";
import { table } from "../output/table";

/** A VM with what rotation knows of its agents. */
interface VmRow {
  vm: Vm;
  agents: number;
  /** Agents that are not on the generation they should be on. */
  behind: number;
  /** Generations between the one that an agent is on and the one it should be on; the largest. */
  lag: number;
}

export const run: Run = async (context, call) => {
  const { output, clock } = context;
  const [vms, agents] = await Promise.all([listVms(context), listAgents(context)]);
  const rows = vms.map((vm) => toRow(vm, agents));
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

async function listAgents(context: CommandContext): Promise<Agent[]> {
  const { agents } = await context.rotation();
  return allPages(
    (page) => agents.listAgents({ workspace: "", includeEnded: false, ...page }),
    (page) => page.agents,
  );
}

function toRow(vm: Vm, agents: Agent[]): VmRow {
  const own = agents.filter(({ vmId }) => vmId === vm.vmId);
  const lags = own.map((agent) => Number(agent.desiredGeneration - agent.appliedGeneration));
  const behind = lags.filter((lag) => lag > 0).length;
  return { vm, agents: own.length, behind, lag: Math.max(0, ...lags) };
}

function vmTable(rows: VmRow[], now: Date, paintTitle: (text: string) => string): string[] {
  return table(
    rows,
    [
      { title: "NAME", text: ({ vm }) => vm.name },
      { title: "LAST SEEN", text: ({ vm }) => relativeTime(vm.lastSeenAt, now) },
      { title: "AGENTS", text: ({ agents }) => String(agents) },
      { title: "LAG", text: toLag },
    ],
    paintTitle,
  );
}

function toLag({ lag, behind }: VmRow): string {
  return lag === 0 ? "0" : `${lag} (${behind} ${behind === 1 ? "agent" : "agents"})`;
}

function toJson({ vm, agents, behind, lag }: VmRow) {
  return {
    name: vm.name,
    vm_id: vm.vmId,
    joined_at: vm.joinedAt,
    last_seen_at: vm.lastSeenAt,
    agents,
    agents_behind: behind,
    generation_lag: lag,
  };
}
