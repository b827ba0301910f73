import type { ComponentChildren } from "preact";
import { addressOf, type Agent, lagOf, listAgents } from "../agents/agent";
import { useResource } from "../api/resource";
import { API_KEYS, TOKENS } from "../credentials/collections";
import { type Credential, listCredentials, nameOf } from "../credentials/credential";
import { CredentialState } from "../credentials/credentials-page";
import { Page } from "../frame/page";
import { Loaded } from "../frame/states";
import { Badge } from "../parts/badge";
import { Ago } from "../parts/time";
import { listRollouts, type Rollout, subjectOf } from "../rollouts/rollout";
import { listVms, type VmStatus } from "../vms/vms-page";

const EVERY_MS = 5_000;
const SOON_MS = 24 * 3_600_000;
const MAX_SHOWN = 8;

/** What is in order and what is not, in one look. */
export function OverviewPage() {
  const agents = useResource((signal) => listAgents(false, signal), [], { everyMs: EVERY_MS });
  const vms = useResource(listVms, [], { everyMs: EVERY_MS });
  const rollouts = useResource(listRollouts, [], { everyMs: EVERY_MS });
  const ending = useResource(listEnding, [], { everyMs: EVERY_MS });
  return (
    <Page title="Overview">
      <div class="tiles">
        <Loaded of={agents} what="agents">
          {(all) => <AgentTile agents={all} />}
        </Loaded>
        <Loaded of={vms} what="VMs">
          {(all) => <VmTile vms={all} />}
        </Loaded>
        <Loaded of={rollouts} what="rollouts">
          {(all) => <RolloutTile rollouts={all} />}
        </Loaded>
        <Loaded of={ending} what="API keys and tokens">
          {(all) => <EndingTile credentials={all} />}
        </Loaded>
      </div>
    </Page>
  );
}

/** Those in grace, and those that end within a day, soonest first. */
async function listEnding(signal: AbortSignal): Promise<Credential[]> {
  const lists = [API_KEYS, TOKENS].map((collection) => listCredentials(collection, false, signal));
  const until = Date.now() + SOON_MS;
  return (await Promise.all(lists))
    .flat()
    .filter(({ expires_at: at }) => at !== undefined && Date.parse(at) < until)
    .sort((a, b) => ((a.expires_at ?? "") < (b.expires_at ?? "") ? -1 : 1));
}

interface TileProps {
  title: string;
  path: string;
  figure: string;
  verdict: ComponentChildren;
  children?: ComponentChildren;
}

function Tile({ title, path, figure, verdict, children }: TileProps) {
  return (
    <section class="card tile" aria-label={title}>
      <h2>
        <a href={path}>{title}</a>
      </h2>
      <p class="figure">{figure}</p>
      <p>{verdict}</p>
      {children}
    </section>
  );
}

function AgentTile({ agents }: { agents: readonly Agent[] }) {
  const behind = agents.filter((agent) => lagOf(agent) > 0);
  const verdict =
    behind.length === 0 ? (
      <Badge tone="good">all on the newest generation</Badge>
    ) : (
      <Badge tone="warn">{`${behind.length} behind`}</Badge>
    );
  return (
    <Tile
      title="Agents"
      path="/agents"
      figure={count(agents.length, "runs", "run")}
      verdict={verdict}
    >
      <ul class="plain-list">
        {behind.slice(0, MAX_SHOWN).map((agent) => (
          <li key={agent.agent_id}>
            <a href={addressOf(agent)}>{agent.path}</a>{" "}
            <span class="quiet">{lagOf(agent)} behind</span>
          </li>
        ))}
      </ul>
    </Tile>
  );
}

function VmTile({ vms }: { vms: readonly VmStatus[] }) {
  const away = vms.filter(({ connected }) => !connected);
  const verdict =
    away.length === 0 ? (
      <Badge tone="good">all connected</Badge>
    ) : (
      <Badge tone="bad">{`${away.length} away`}</Badge>
    );
  const connected = vms.length - away.length;
  return (
    <Tile title="VMs" path="/vms" figure={`${connected} of ${vms.length}`} verdict={verdict}>
      <ul class="plain-list">
        {away.slice(0, MAX_SHOWN).map((vm) => (
          <li key={vm.vm_id}>
            {vm.vm_name}{" "}
            <span class="quiet">
              last seen <Ago at={vm.last_seen_at} />
            </span>
          </li>
        ))}
      </ul>
    </Tile>
  );
}

function RolloutTile({ rollouts }: { rollouts: readonly Rollout[] }) {
  const open = rollouts.filter(({ state }) => state === "open");
  const verdict =
    open.length === 0 ? <Badge tone="good">all done</Badge> : <Badge tone="busy">under way</Badge>;
  const shown = open.length > 0 ? open : rollouts;
  return (
    <Tile title="Rollouts" path="/rollouts" figure={`${open.length} under way`} verdict={verdict}>
      <ul class="plain-list">
        {shown.slice(0, MAX_SHOWN).map((rollout) => (
          <li key={rollout.rollout_id}>
            <a href={`/rollouts/${rollout.rollout_id}`}>{subjectOf(rollout)}</a>{" "}
            <span class="quiet">
              {rollout.targets_applied} of {rollout.targets_total}, <Ago at={rollout.accepted_at} />
            </span>
          </li>
        ))}
      </ul>
    </Tile>
  );
}

function EndingTile({ credentials }: { credentials: readonly Credential[] }) {
  const verdict =
    credentials.length === 0 ? (
      <Badge tone="good">none ends within a day</Badge>
    ) : (
      <Badge tone="warn">in grace, or ending within a day</Badge>
    );
  return (
    <Tile
      title="Keys and tokens"
      path="/keys"
      figure={`${credentials.length} ending`}
      verdict={verdict}
    >
      <ul class="plain-list">
        {credentials.slice(0, MAX_SHOWN).map((one) => (
          <li key={one.credential_id}>
            <a href={`${(one.kind === "api_key" ? API_KEYS : TOKENS).path}/${one.credential_id}`}>
              {nameOf(one)}
            </a>{" "}
            <CredentialState credential={one} />
          </li>
        ))}
      </ul>
    </Tile>
  );
}

function count(of: number, one: string, many: string): string {
  return `${of} ${of === 1 ? one : many}`;
}
