import { type Clock, systemClock } from "../../../lib/clock";
import type { Principal } from "../../../lib/identity/principal";
import { invalid, permissionDenied } from "../../../lib/errors";
import { quoted } from "../../../lib/quoted";
import { withTransaction } from "../../../lib/postgres/transaction";
import { writeAudit, type AuditEntry, type Caller } from "../audit";
import type { CatalogClient } from "../catalog/catalog-client";
import { mayHaveChild } from "../protocol";
import { missingNamesWarnings } from "../rollouts/domain/warnings";
import type { AgentBindings } from "./agent-bindings";
import type { Agent } from "./domain/agent";
import { requireGenuine } from "./changed-records";
import { stampAdoption } from "./domain/agent-adoption";
import { agentEnded, agentIdNotFound, agentIdTaken } from "./domain/agent-errors";
import { assertManages } from "./domain/authority";
import { candidateVms, leastBusy, onlyOne, vmNotFound, type CandidateVm } from "./domain/choose-vm";
import { checkSpawnRequest, spawnHash, type SpawnRequest } from "./domain/spawn-request";
import { giveGeneration, type GiveGenerationDeps } from "./give-generation";
import type { AgentStore, AgentWriter } from "./store/agent-store";

export interface SpawnDeps extends GiveGenerationDeps {
  agents: Pick<AgentStore, "find" | "countLiving">;
  writer: AgentWriter;
  catalog: Pick<CatalogClient, "snapshot" | "workspaceVms" | "vms">;
  bindings: AgentBindings;
  clock?: Clock;
}

/** Where a new agent belongs. */
interface Place {
  workspace: string;
  developer: string;
  parent: Agent | undefined;
  vm: CandidateVm;
}

/**
 * Accepts an agent: its row first, so that no rekey misses it, then its first generation. When there
 * can be none, the row is taken back and the call may be repeated with the same id.
 */
export async function spawnAgent(
  deps: SpawnDeps,
  principal: Principal,
  caller: Caller,
  wish: SpawnRequest,
): Promise<{ agent: Agent; warnings: string[] }> {
  const request = checkSpawnRequest(wish);
  const { tenantId } = principal;
  const known = await deps.agents.find(tenantId, request.agentId);
  const agent = known ?? (await accept(deps, principal, caller, request));
  if (known) {
    await assertSame(deps, known, request);
    await requireGenuine(deps, caller, known);
  }
  if (agent.phase !== "starting" || agent.desired > 0n) return { agent, warnings: [] };
  const snapshot = await giveOrWithdraw(deps, caller, agent);
  const warnings = snapshot ? missingNamesWarnings([agent], [snapshot]) : [];
  return { agent: (await deps.agents.find(tenantId, agent.id)) ?? agent, warnings };
}

async function assertSame(deps: SpawnDeps, known: Agent, request: SpawnRequest): Promise<void> {
  const hash = await deps.writer.requestHash(deps.pool, known.tenantId, known.id);
  if (!hash?.equals(spawnHash(request))) throw agentIdTaken(known.id);
}

async function accept(
  deps: SpawnDeps,
  principal: Principal,
  caller: Caller,
  request: SpawnRequest,
): Promise<Agent> {
  const place = await findPlace(deps, principal, caller, request);
  const { tenantId } = principal;
  const { command, workingDirectory } = request;
  const settings = stampAdoption(request.settings, (deps.clock ?? systemClock).now());
  const launch = { command, workingDirectory, settings };
  await withTransaction(deps.pool, async (tx) => {
    const parent = place.parent && (await lockParent(deps.writer, tx, place.parent));
    const bound = {
      tenantId,
      id: request.agentId,
      vmId: place.vm.vmId,
      workspace: place.workspace,
      developer: place.developer,
      parentId: parent?.id,
      expectsSpawnSecrets: request.expectsSpawnSecrets,
    };
    const inserted = await deps.writer.insert(tx, {
      ...bound,
      slug: request.slug,
      path: parent ? `${parent.path}/${request.slug}` : request.slug,
      parent,
      vmName: place.vm.name,
      ...launch,
      requestHash: spawnHash(request),
      binding: deps.bindings.macOf(bound),
      launchMac: deps.bindings.launchMacOf({ ...bound, ...launch }),
    });
    if (inserted) await writeAudit(tx, caller, [acceptedEntry(request)]);
  });
  const agent = await deps.agents.find(tenantId, request.agentId);
  if (!agent) throw agentIdNotFound(request.agentId);
  await assertSame(deps, agent, request);
  return agent;
}

function acceptedEntry({ agentId, settings }: SpawnRequest): AuditEntry {
  const entry = spawnEntry(agentId, "ok");
  const { adopt } = settings ?? {};
  return adopt ? { ...entry, action: "agent.adopt", detail: { pid: adopt.pid } } : entry;
}

function spawnEntry(agentId: string, outcome: AuditEntry["outcome"]): AuditEntry {
  return { action: "agent.spawn", objectKind: "agent", objectId: agentId, outcome };
}

/** The parent as it is while its tree is held: a kill cannot pass by the child. */
async function lockParent(
  writer: AgentWriter,
  tx: Parameters<AgentWriter["lockTree"]>[0],
  { tenantId, id, rootId, path }: Agent,
): Promise<Agent> {
  await writer.lockTree(tx, tenantId, rootId, "share");
  const parent = await writer.lockParent(tx, tenantId, id);
  if (!parent) throw agentIdNotFound(id);
  if (!mayHaveChild(parent)) throw agentEnded(path, parent);
  return parent;
}

async function findPlace(
  deps: SpawnDeps,
  principal: Principal,
  caller: Caller,
  request: SpawnRequest,
): Promise<Place> {
  if (request.parentAgentId !== "") return findPlaceBelow(deps, principal, caller, request);
  if (principal.kind !== "developer") throw permissionDenied("a VM spawns children only");
  const { tenantId, id: developer } = principal;
  const { workspace } = request;
  const vm =
    request.vm === ""
      ? await chooseVm(deps, tenantId, request)
      : await findVm(deps, tenantId, request.vm);
  return { workspace, developer, parent: undefined, vm };
}

/** A child inherits workspace and developer, and goes to its parent's VM unless a developer names one. */
async function findPlaceBelow(
  deps: SpawnDeps,
  principal: Principal,
  caller: Caller,
  request: SpawnRequest,
): Promise<Place> {
  const parent = await deps.agents.find(principal.tenantId, request.parentAgentId);
  const isVm = principal.kind === "vm";
  if (!parent || (isVm && parent.vmId !== principal.id))
    throw agentIdNotFound(request.parentAgentId);
  if (!isVm) assertManages(principal, parent);
  await requireGenuine(deps, caller, parent); // What it hands down becomes genuine in its child.
  const { workspace, developer, vmName } = parent;
  if (request.workspace !== "" && request.workspace !== workspace) {
    const message = `workspace ${quoted(request.workspace)} is not the parent's, "${workspace}"`;
    throw invalid("workspace", message);
  }
  const own = { vmId: parent.vmId, name: vmName };
  if (request.vm === "" || request.vm === vmName) return { workspace, developer, parent, vm: own };
  if (isVm) throw invalid("vm", `vm must be "${vmName}" or empty: a child runs beside its parent`);
  return { workspace, developer, parent, vm: await findVm(deps, parent.tenantId, request.vm) };
}

async function findVm(deps: SpawnDeps, tenantId: string, name: string): Promise<CandidateVm> {
  const [vm] = await deps.catalog.vms(tenantId, name);
  if (!vm) throw vmNotFound(name);
  return vm;
}

async function chooseVm(
  deps: SpawnDeps,
  tenantId: string,
  { workspace: name, settings }: SpawnRequest,
): Promise<CandidateVm> {
  const [vms, registered] = await Promise.all([
    deps.catalog.workspaceVms(tenantId, name),
    deps.catalog.vms(tenantId),
  ]);
  const candidates = candidateVms({ name, vms }, registered);
  if (settings?.adopt) return onlyOne(candidates);
  const ids = candidates.map(({ vmId }) => vmId);
  return leastBusy(candidates, await deps.agents.countLiving(tenantId, ids));
}

async function giveOrWithdraw(deps: SpawnDeps, caller: Caller, agent: Agent) {
  try {
    return await giveGeneration(deps, caller, agent, { requestId: `${agent.id}:spawn` });
  } catch (error) {
    await withTransaction(deps.pool, async (tx) => {
      await deps.writer.withdraw(tx, agent.tenantId, agent.id);
      await writeAudit(tx, caller, [spawnEntry(agent.id, "refused")]);
    }).catch((later: unknown) => {
      // The task for agents without a generation goes on with it.
      deps.log.warn("spawn could not be taken back", { agentId: agent.id, error: later });
    });
    throw error;
  }
}
