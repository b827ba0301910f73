import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import type { RolloutSelection } from "../../../gen/murmur/rotation/v1/rollouts";
import { invalid, notFound } from "../../../lib/errors";
import type { Principal } from "../../../lib/identity/principal";
import { quoted } from "../../../lib/quoted";
import type { Agent } from "../agents/domain/agent";
import { agentEnded, agentNotFound } from "../agents/domain/agent-errors";
import { assertManages } from "../agents/domain/authority";
import { findHolders, type HoldersDeps } from "../agents/holders";
import type { AgentStore } from "../agents/store/agent-store";
import { listKeyOf } from "../agents/store/postgres-agent-store";
import { isUuid } from "../agents/domain/spawn-request";
import { isEnding } from "../protocol";
import { hasLiving } from "./domain/plan-rekey";
import type { RolloutSubject } from "./store/rollout-store";

export interface SelectAgentsDeps extends HoldersDeps {
  agents: HoldersDeps["agents"] & Pick<AgentStore, "findLiving" | "findTree">;
}

/** Whom a rollout is for, and how it calls them. */
export interface Selected {
  subject: RolloutSubject;
  /** All of them, those below others included; by workspace and path. */
  agents: readonly Agent[];
}

type Which = NonNullable<RolloutSelection["which"]>;

/** What can be rekeyed in one go: its rollout is read and watched as a whole. */
const MAX_SELECTED = 2_000;
const HOLDERS_PAGE = 1_000;

/**
 * Finds the living agents of a selection. Throws INVALID_ARGUMENT for one that says nothing or too
 * much, NOT_FOUND when nobody is in it, PERMISSION_DENIED when the caller may not rekey everybody.
 */
export async function selectAgents(
  deps: SelectAgentsDeps,
  principal: Principal,
  selection: RolloutSelection | undefined,
): Promise<Selected> {
  const which = selection?.which;
  if (!selection || !which) throw invalid("selection", "selection is required");
  const subject = subjectOf(selection.workspace, which);
  const selected =
    which.$case === "path"
      ? await selectTree(deps, principal.tenantId, subject)
      : { subject, agents: await selectMany(deps, principal, subject, which) };
  for (const agent of selected.agents) assertManages(principal, agent);
  if (selected.agents.length > MAX_SELECTED)
    throw invalid(
      "selection",
      `selection has more than ${MAX_SELECTED} agents: name a workspace or an agent`,
    );
  return selected;
}

function subjectOf(workspace: string, which: Which): RolloutSubject {
  const none = { agentId: undefined, workspace, path: "", secretName: "" };
  switch (which.$case) {
    case "path":
      return { ...none, path: which.value };
    case "secretName":
      if (which.value === "") throw invalid("selection", "secret_name is required");
      return { ...none, secretName: which.value };
    case "holders":
      if (which.value.secretName === "") throw invalid("selection", "secret_name is required");
      return { ...none, secretName: which.value.secretName };
    case "all":
      if (!which.value) throw invalid("selection", "all must be true");
      return none;
  }
}

async function selectTree(
  { agents }: SelectAgentsDeps,
  tenantId: string,
  subject: RolloutSubject,
): Promise<Selected> {
  const { workspace, path } = subject;
  const tree = await agents.findTree(tenantId, workspace, path);
  if (!tree) throw agentNotFound(path, workspace);
  if (!hasLiving(tree.agent, tree.descendants)) throw agentEnded(path, tree.agent);
  const all = [tree.agent, ...tree.descendants];
  return {
    subject: { ...subject, agentId: tree.agent.id },
    agents: all.filter((agent) => !isEnding(agent)),
  };
}

async function selectMany(
  deps: SelectAgentsDeps,
  principal: Principal,
  { workspace: name, secretName }: RolloutSubject,
  which: Which,
): Promise<Agent[]> {
  const workspace = name === "" ? undefined : name;
  const under = await idsOf(deps, principal, which, name);
  const { tenantId } = principal;
  // Those below a holder are rekeyed with it, wherever they are.
  const found = await deps.agents.findLiving({
    ...{ tenantId, under, limit: MAX_SELECTED },
    workspace: under ? undefined : workspace,
  });
  const living = found.filter((agent) => !isEnding(agent));
  if (living.length > 0) return living;
  const where = name === "" ? "" : ` in workspace ${quoted(name)}`;
  const what = secretName === "" ? "" : ` has secret ${quoted(secretName)}`;
  const message = `no living agent${where}${what}`;
  throw notFound(ErrorReason.ERROR_REASON_AGENT_NOT_FOUND, message, {
    workspace: name.slice(0, 256),
  });
}

/** Undefined for all. */
async function idsOf(
  deps: SelectAgentsDeps,
  principal: Principal,
  which: Which,
  workspace: string,
): Promise<string[] | undefined> {
  if (which.$case === "secretName") return holderIds(deps, principal, which.value, workspace);
  if (which.$case !== "holders") return undefined;
  const { agentIds } = which.value;
  if (!agentIds.every(isUuid)) throw invalid("selection", "agent_ids must be UUIDs");
  return agentIds;
}

async function holderIds(
  deps: SelectAgentsDeps,
  principal: Principal,
  secretName: string,
  name: string,
): Promise<string[]> {
  const request = { secretName, version: 0n, workspace: name === "" ? undefined : name };
  const ids: string[] = [];
  for (let after: string | undefined; ;) {
    const page = { limit: HOLDERS_PAGE, after };
    const { rows, holders } = await findHolders(deps, principal, request, page);
    // Nothing that a process cannot tell is a reason to rekey its agent.
    const known = holders.filter((it) =>
      [it.files, ...it.coming, ...it.processes.map(({ held }) => held)].some(
        (held) => held?.version,
      ),
    );
    ids.push(...known.map(({ agent }) => agent.id));
    const last = rows[HOLDERS_PAGE - 1];
    if (rows.length <= HOLDERS_PAGE || !last) return ids;
    after = listKeyOf(last.agent);
  }
}
