import { useResource } from "../api/resource";
import { Page } from "../frame/page";
import { Empty, Loaded } from "../frame/states";
import { Badge } from "../parts/badge";
import { type Column, Table } from "../parts/table";
import { Ago } from "../parts/time";
import { listRollouts, type Rollout, stateOf, subjectOf } from "./rollout";

const EVERY_MS = 3_000;

const COLUMNS: readonly Column<Rollout>[] = [
  {
    name: "Rollout",
    of: (rollout) => (
      <a href={`/rollouts/${rollout.rollout_id}`}>
        <strong>{subjectOf(rollout)}</strong>
        <br />
        <span class="quiet">{rollout.reason || rollout.kind}</span>
      </a>
    ),
  },
  {
    name: "State",
    of: (rollout) => {
      const { tone, name } = stateOf(rollout);
      return <Badge tone={tone}>{name}</Badge>;
    },
  },
  {
    name: "Agents",
    of: ({ targets_applied: applied, targets_total: total }) => `${applied} of ${total}`,
  },
  { name: "Asked by", of: ({ requested_by: who }) => who },
  { name: "When", of: ({ accepted_at: at }) => <Ago at={at} /> },
];

/** What was changed under running agents, and how far each change is. */
export function RolloutsPage() {
  const rollouts = useResource(listRollouts, [], { everyMs: EVERY_MS });
  return (
    <Page title="Rollouts">
      <p class="lead">
        Each brings agents to a new generation of their environment, while they run. The newest
        hundred.
      </p>
      <Loaded of={rollouts} what="rollouts">
        {(rows) =>
          rows.length === 0 ? (
            <Empty title="No rollout yet">
              <p>
                Open an <a href="/agents">agent</a> and rekey it, or rekey all who hold a{" "}
                <a href="/secrets">secret</a>.
              </p>
            </Empty>
          ) : (
            <Table
              caption="Rollouts"
              columns={COLUMNS}
              rows={rows}
              keyOf={({ rollout_id: id }) => id}
            />
          )
        }
      </Loaded>
    </Page>
  );
}
