import { useLocation } from "preact-iso";
import { useState } from "preact/hooks";
import type { ApiError } from "../api/client";
import { useResource } from "../api/resource";
import { Page } from "../frame/page";
import { capital, Loaded } from "../frame/states";
import { Badge } from "../parts/badge";
import { Button } from "../parts/button";
import { type Column, Table } from "../parts/table";
import { Ago } from "../parts/time";
import { addressOf, type Agent, type AgentProcess, getAgent, rekeyAgent, toneOf } from "./agent";
import { Generation } from "./agents-page";

const EVERY_MS = 3_000;

/** One agent: its children, its processes, and what each of them has taken over. */
export function AgentPage({ workspace, agent: path }: { workspace: string; agent: string }) {
  const one = useResource((signal) => getAgent(workspace, path, signal), [workspace, path], {
    everyMs: EVERY_MS,
  });
  const agent = one.value?.agent;
  const isLiving = agent !== undefined && agent.ended_at === undefined;
  return (
    <Page
      title={path}
      parent={{ path: "/agents", name: "Agents" }}
      actions={isLiving && <Rekey agent={agent} />}
    >
      <Loaded of={one} what="this agent">
        {(shown) => (
          <>
            {shown.agent && <Facts agent={shown.agent} />}
            {shown.descendants.length > 0 && <Children agents={shown.descendants} />}
            <Processes processes={shown.processes} reportedAt={shown.reported_at} />
          </>
        )}
      </Loaded>
    </Page>
  );
}

/** Starts a rollout, and shows how it goes. */
function Rekey({ agent }: { agent: Agent }) {
  const { route } = useLocation();
  const [problem, setProblem] = useState<string>();
  const [isBusy, setBusy] = useState(false);
  const rekey = async () => {
    setBusy(true);
    try {
      route(`/rollouts/${await rekeyAgent(agent)}`);
    } catch (error) {
      setProblem(`${capital((error as ApiError).message)}.`);
      setBusy(false);
    }
  };
  return (
    <>
      {problem !== undefined && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
      <Button kind="primary" isBusy={isBusy} onClick={() => void rekey()}>
        Rekey
      </Button>
    </>
  );
}

function Facts({ agent }: { agent: Agent }) {
  return (
    <dl class="facts">
      <div>
        <dt>Phase</dt>
        <dd>
          <Badge tone={toneOf(agent)}>{agent.phase ?? "unknown"}</Badge>
        </dd>
      </div>
      <div>
        <dt>Generation</dt>
        <dd>
          <Generation agent={agent} />
        </dd>
      </div>
      <div>
        <dt>VM</dt>
        <dd>{agent.vm_name}</dd>
      </div>
      <div>
        <dt>Workspace</dt>
        <dd>{agent.workspace}</dd>
      </div>
      <div>
        <dt>Developer</dt>
        <dd>{agent.developer}</dd>
      </div>
      <div>
        <dt>Started</dt>
        <dd>
          <Ago at={agent.created_at} />
        </dd>
      </div>
    </dl>
  );
}

const CHILD_COLUMNS: readonly Column<Agent>[] = [
  { name: "Child", of: (child) => <a href={addressOf(child)}>{child.path}</a> },
  { name: "Phase", of: (child) => <Badge tone={toneOf(child)}>{child.phase ?? "unknown"}</Badge> },
  { name: "Generation", of: (child) => <Generation agent={child} /> },
];

function Children({ agents }: { agents: readonly Agent[] }) {
  return (
    <section>
      <h2>Children</h2>
      <Table
        caption="Children"
        columns={CHILD_COLUMNS}
        rows={agents}
        keyOf={(child) => child.agent_id}
      />
    </section>
  );
}

const PROCESS_COLUMNS: readonly Column<AgentProcess>[] = [
  {
    name: "Process",
    of: ({ name, pid }) => (
      <>
        <strong>{name}</strong> <span class="quiet">pid {pid}</span>
      </>
    ),
  },
  {
    name: "On generation",
    of: ({ generation }) =>
      generation > 0 ? generation : <span class="quiet">cannot be told</span>,
  },
  {
    name: "Reads through",
    of: ({ reads_through: isReading }) => (isReading ? "yes" : <span class="quiet">no</span>),
  },
];

function Processes({
  processes,
  reportedAt,
}: {
  processes: readonly AgentProcess[];
  reportedAt: string | undefined;
}) {
  return (
    <section>
      <h2>Processes</h2>
      <p class="quiet">
        As its machine reported <Ago at={reportedAt} none="never yet" />.
      </p>
      {processes.length > 0 && (
        <Table
          caption="Processes"
          columns={PROCESS_COLUMNS}
          rows={processes}
          keyOf={({ pid, start_ticks: ticks }) => `${pid}.${ticks}`}
        />
      )}
    </section>
  );
}
