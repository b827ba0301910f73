import { useLocation } from "preact-iso";
import { useState } from "preact/hooks";
import type { ApiError } from "../api/client";
import { addressOf } from "../agents/agent";
import { Page } from "../frame/page";
import { capital } from "../frame/states";
import { Badge } from "../parts/badge";
import { Button } from "../parts/button";
import { type Column, Table } from "../parts/table";
import { Ago } from "../parts/time";
import { Latencies } from "./latencies";
import {
  latencyMs,
  rollBack,
  type Rollout,
  type RolloutTarget,
  stateOf,
  subjectOf,
  TARGET_TONES,
} from "./rollout";
import { useRollout, type WatchedRollout } from "./watch-rollout";

/** Who is not there yet is shown first; more rows than these nobody reads. */
const MAX_ROWS = 200;
const ORDER = ["failed", "pending", "skipped", "applied"];

/** One rollout as it converges. */
export function RolloutPage({ id }: { id: string }) {
  const watched = useRollout(id);
  const { rollout, targets } = watched;
  const title = rollout ? `Rollout: ${subjectOf(rollout)}` : "Rollout";
  const isDone = rollout?.state === "completed" && rollout.rolled_back_by === "";
  return (
    <Page
      title={title}
      parent={{ path: "/rollouts", name: "Rollouts" }}
      actions={isDone && !rollout.unchanged && <RollBack rolloutId={id} />}
    >
      {rollout === undefined ? (
        <p role="status">{LINKS[watched.link]}</p>
      ) : (
        <>
          <Progress rollout={rollout} link={watched.link} />
          <Latencies
            latenciesMs={[...targets.values()]
              .map((target) => latencyMs(rollout, target))
              .filter((ms) => ms !== undefined)}
          />
          <Targets rollout={rollout} targets={[...targets.values()]} />
        </>
      )}
    </Page>
  );
}

const LINKS: Record<WatchedRollout["link"], string> = {
  connecting: "Connecting…",
  live: "Live.",
  lost: "The connection was lost, or there is no such rollout. Trying again…",
  done: "Done.",
};

function Progress({ rollout, link }: { rollout: Rollout; link: WatchedRollout["link"] }) {
  const { targets_applied: applied, targets_total: total } = rollout;
  const { tone, name } = stateOf(rollout);
  return (
    <section class="card" aria-label="Progress">
      <p>
        <Badge tone={tone}>{name}</Badge>{" "}
        <span class="quiet">
          asked by {rollout.requested_by} <Ago at={rollout.accepted_at} />
          {rollout.reason !== "" && `: ${rollout.reason}`}
        </span>
      </p>
      <progress class="progress" value={applied} max={Math.max(total, 1)} aria-label="Applied" />
      <p role="status">
        <strong>
          {applied} of {total}
        </strong>{" "}
        {total === 1 ? "agent has" : "agents have"} it
        {rollout.targets_failed > 0 && `, ${rollout.targets_failed} failed`}
        {rollout.targets_skipped > 0 && `, ${rollout.targets_skipped} were passed over`}.{" "}
        <span class="quiet">{LINKS[link]}</span>
      </p>
      {rollout.rolled_back_by !== "" && (
        <p class="notice warn">
          It was <a href={`/rollouts/${rollout.rolled_back_by}`}>taken back</a>.
        </p>
      )}
    </section>
  );
}

function Targets({ rollout, targets }: { rollout: Rollout; targets: readonly RolloutTarget[] }) {
  const rank = ({ state }: RolloutTarget) => ORDER.indexOf(state ?? "pending");
  const sorted = targets.toSorted((a, b) => rank(a) - rank(b) || (a.path < b.path ? -1 : 1));
  const shown = sorted.slice(0, MAX_ROWS);
  return (
    <section>
      <h2>Agents</h2>
      {shown.length < sorted.length && (
        <p class="quiet">
          The first {shown.length} of {sorted.length}, those that are not there yet before the
          others.
        </p>
      )}
      <Table
        caption="Agents of this rollout"
        columns={columnsOf(rollout)}
        rows={shown}
        keyOf={(target) => target.agent_id}
      />
    </section>
  );
}

function columnsOf(rollout: Rollout): Column<RolloutTarget>[] {
  const { workspace } = rollout;
  return [
    {
      name: "Agent",
      of: ({ path }) =>
        workspace === "" ? path : <a href={addressOf({ workspace, path })}>{path}</a>,
    },
    {
      name: "State",
      of: ({ state = "pending" }) => <Badge tone={TARGET_TONES[state]}>{state}</Badge>,
    },
    { name: "Generation", of: ({ generation }) => generation },
    { name: "VM", of: ({ vm_name: vm }) => vm },
    {
      name: "After",
      of: (target) => {
        const ms = latencyMs(rollout, target);
        return ms === undefined ? <span class="quiet">–</span> : `${ms} ms`;
      },
    },
    { name: "Why", of: ({ reason }) => reason },
  ];
}

function RollBack({ rolloutId }: { rolloutId: string }) {
  const { route } = useLocation();
  const [problem, setProblem] = useState<string>();
  const [isBusy, setBusy] = useState(false);
  const submit = async () => {
    setBusy(true);
    try {
      route(`/rollouts/${await rollBack(rolloutId)}`);
    } catch (error) {
      setProblem(`${capital((error as ApiError).message)}.`);
    }
    setBusy(false);
  };
  return (
    <>
      {problem !== undefined && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
      <Button isBusy={isBusy} onClick={() => void submit()}>
        Roll back
      </Button>
    </>
  );
}
