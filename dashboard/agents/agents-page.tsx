import { useState } from "preact/hooks";
import { useResource } from "../api/resource";
import { Page } from "../frame/page";
import { Empty, Loaded } from "../frame/states";
import { Badge } from "../parts/badge";
import { TextField } from "../parts/field";
import { type Column, Table } from "../parts/table";
import { addressOf, type Agent, lagOf, listAgents, toneOf } from "./agent";

const EVERY_MS = 5_000;
/** More rows than anybody reads; the search finds the others. */
const MAX_ROWS = 500;

/** Agents on VMs, and where each is. */
export function AgentsPage() {
  const [search, setSearch] = useState("");
  const [includeEnded, setIncludeEnded] = useState(false);
  const agents = useResource((signal) => listAgents(includeEnded, signal), [includeEnded], {
    everyMs: EVERY_MS,
  });
  return (
    <Page title="Agents">
      <p class="lead">
        Programs that run on your machines. Each is on a generation of its environment; one that is
        behind has not taken over the newest yet.
      </p>
      <TextField
        label="Search"
        hint="By name, workspace, machine or developer."
        value={search}
        onInput={setSearch}
      />
      <label class="check">
        <input
          type="checkbox"
          checked={includeEnded}
          onInput={(event) => setIncludeEnded(event.currentTarget.checked)}
        />
        Show those that have ended, too
      </label>
      <Loaded of={agents} what="agents">
        {(all) => <Found agents={all} search={search} />}
      </Loaded>
    </Page>
  );
}

function Found({ agents, search }: { agents: readonly Agent[]; search: string }) {
  if (agents.length === 0)
    return (
      <Empty title="No agent runs">
        <p>
          Start one with <code>murmur spawn</code>.
        </p>
      </Empty>
    );
  const found = agents.filter((agent) => isFound(agent, search));
  const shown = found.slice(0, MAX_ROWS);
  return (
    <>
      <p class="quiet" role="status">
        {shown.length < found.length
          ? `The first ${shown.length} of ${found.length}`
          : found.length}{" "}
        of {agents.length} agents
      </p>
      <Table caption="Agents" columns={COLUMNS} rows={shown} keyOf={(agent) => agent.agent_id} />
    </>
  );
}

function isFound(agent: Agent, search: string): boolean {
  const text = [agent.workspace, agent.path, agent.vm_name, agent.developer]
    .join(" ")
    .toLowerCase();
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  return words.every((word) => text.includes(word));
}

const COLUMNS: readonly Column<Agent>[] = [
  {
    name: "Agent",
    of: (agent) => (
      <a href={addressOf(agent)}>
        <strong>{agent.path}</strong>
        <br />
        <span class="quiet">{agent.workspace}</span>
      </a>
    ),
  },
  { name: "Phase", of: (agent) => <Badge tone={toneOf(agent)}>{agent.phase ?? "unknown"}</Badge> },
  { name: "Generation", of: (agent) => <Generation agent={agent} /> },
  { name: "VM", of: ({ vm_name: vm }) => vm },
  { name: "Developer", of: ({ developer }) => developer },
];

/** The one that it is on, and by how much it is behind. */
export function Generation({ agent }: { agent: Agent }) {
  const lag = lagOf(agent);
  return (
    <>
      {agent.applied_generation}
      {lag > 0 && (
        <>
          {" "}
          <Badge tone="warn">{`${lag} behind`}</Badge>
        </>
      )}
    </>
  );
}
