import { type Vm } from "../../gen/murmur/catalog/v1/vms";
import { type Agent } from "../../gen/murmur/rotation/v1/agents";
import { type VmStatus } from "../../gen/murmur/rotation/v1/vm_sync";
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

/** When a VM was last in contact; undefined time: never. */
interface Contact {
  lastSeenAt: Date | undefined;
  /** Whether its stream is open; undefined while rotation is away. */
  connected: boolean | undefined;
}

interface VmRow {
  vm: Vm;
  contact: Contact;
  /** Undefined while rotation is away. */
  load: Load | undefined;
}

/** What rotation knows. */
interface Known {
  agents: Agent[];
  statuses: VmStatus[];
}

export const run: Run = async (context, call) => {
  const { output, clock } = context;
  const [vms, known] = await Promise.all([listVms(context), askRotation(context)]);
  if (!known)
    output.warn(
      "rotation is away: nothing is known of agents, and last seen is when a VM renewed its token",
    );
  const rows = vms.map((vm) => ({
    vm,
    contact: contactOf(vm, known?.statuses),
    load: known && toLoad(vm, known.agents),
  }));
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

async function askRotation(context: CommandContext): Promise<Known | undefined> {
  const { agents, vmSync } = await context.rotation();
  try {
    const [living, { vms }] = await Promise.all([
      allPages(
        (page) => agents.listAgents({ workspace: "", includeEnded: false, ...page }),
        (page) => page.agents,
      ),
      vmSync.listVmStatuses({}),
    ]);
    return { agents: living, statuses: vms };
  } catch (error) {
    if (isAppError(error, "UNAVAILABLE")) return undefined;
    throw error;
  }
}

/** The catalog hears of a VM only when it renews its token: rotation knows better. */
function contactOf(vm: Vm, statuses: VmStatus[] | undefined): Contact {
  if (!statuses) return { lastSeenAt: vm.lastSeenAt, connected: undefined };
  const status = statuses.find(({ vmId }) => vmId === vm.vmId);
  return { lastSeenAt: status?.lastSeenAt, connected: status?.connected ?? false };
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
      { title: "LAST SEEN", text: ({ contact }) => seenWords(contact, now) },
      { title: "AGENTS", text: ({ load }) => String(load?.agents ?? "?") },
      { title: "LAG", text: ({ load }) => (load ? lagWords(load) : "?") },
    ],
    paintTitle,
  );
}

function seenWords({ lastSeenAt, connected }: Contact, now: Date): string {
  if (connected) return "connected";
  return lastSeenAt ? relativeTime(lastSeenAt, now) : "never";
}

function lagWords({ lag, behind }: Load): string {
  return lag === 0 ? "0" : `${lag} (${behind} ${behind === 1 ? "agent" : "agents"})`;
}

function toJson({ vm, contact, load }: VmRow) {
  return {
    name: vm.name,
    vm_id: vm.vmId,
    joined_at: vm.joinedAt,
    last_seen_at: contact.lastSeenAt,
    connected: contact.connected,
    agents: load?.agents,
    agents_behind: load?.behind,
    generation_lag: load?.lag,
  };
}
