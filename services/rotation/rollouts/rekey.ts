import { createHash, randomUUID } from "node:crypto";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { AppError, invalid } from "../../../lib/errors";
import type { Principal } from "../../../lib/identity/principal";
import type { Pool, Tx } from "../../../lib/postgres/db";
import { withTransactionRetry } from "../../../lib/postgres/transaction";
import type { Announcer, Coming } from "../announce/announcer";
import { announce, type LocalAnnouncement } from "../announce/announcement";
import { digestOf } from "../agents/domain/agent";
import { agentEnded, agentNotFound } from "../agents/domain/agent-errors";
import { assertManages } from "../agents/domain/authority";
import { leftOutEntry } from "../agents/changed-records";
import type { AgentTree, AgentWriter } from "../agents/store/agent-store";
import type { AuditEntry, Caller } from "../audit";
import { joinsOpenRollouts } from "../protocol";
import { hasLiving, planRekey, type RekeyPlan, type Snapshot } from "./domain/plan-rekey";
import { missingNamesWarnings } from "./domain/warnings";
import { snapshotTree, type SnapshotTreeDeps, type TreeSnapshots } from "./snapshot-tree";
import type { NewRollout, RolloutStore } from "./store/rollout-store";

export interface RekeyDeps extends SnapshotTreeDeps {
  pool: Pool;
  writer: Pick<AgentWriter, "lockTree" | "lockSubtree">;
  rollouts: Pick<RolloutStore, "requestHash" | "open" | "lockOpenOf" | "recordGeneration">;
  announcer: Pick<Announcer, "foretell" | "deliver">;
}

export interface RekeyRequest {
  workspace: string;
  path: string;
  /** Empty: not to be repeated. */
  requestId: string;
  reason: string;
}

const MAX_REQUEST_ID_BYTES = 128;
const MAX_REASON_BYTES = 1024;

/**
 * Gives an agent and all below it a new generation and returns the id of the rollout, durable and
 * handed to the streams of this replica. A repeated request id returns the first one's.
 */
export async function rekeyAgent(
  deps: RekeyDeps,
  principal: Principal,
  caller: Caller,
  request: RekeyRequest,
): Promise<string> {
  checkRequest(request);
  const { tenantId } = principal;
  const id = rolloutId(tenantId, request.requestId);
  const requestHash = digestOf(request.workspace, request.path, request.reason, caller.id);
  const [tree, earlier] = await Promise.all([
    deps.agents.findTree(tenantId, request.workspace, request.path),
    deps.rollouts.requestHash(tenantId, id),
  ]);
  if (earlier) return assertSame(earlier, requestHash, request, id);
  if (!tree) throw agentNotFound(request.path, request.workspace);
  assertManages(principal, tree.agent);
  if (!hasLiving(tree.agent, tree.descendants)) throw agentEnded(request.path, tree.agent);
  const { snapshots, leftOut } = await snapshotTree(deps, caller, tree, id);
  deps.announcer.foretell(comingGenerations(tree, snapshots));
  const rollout: NewRollout = {
    tenantId,
    id,
    requestHash,
    agent: tree.agent,
    requestedBy: caller.id,
    reason: request.reason,
    warnings: missingNamesWarnings([tree.agent, ...tree.descendants], snapshots),
  };
  const announcements = await withTransactionRetry(deps.pool, (tx) =>
    open(deps, tx, { caller, tree, rollout, snapshots, leftOut }),
  );
  if (announcements) deps.announcer.deliver(announcements);
  else await assertSameAsStored(deps, rollout, request);
  return id;
}

function checkRequest({ requestId, reason }: RekeyRequest): void {
  if (Buffer.byteLength(requestId) > MAX_REQUEST_ID_BYTES)
    throw invalid("request_id", `request_id exceeds ${MAX_REQUEST_ID_BYTES} byte limit`);
  if (Buffer.byteLength(reason) > MAX_REASON_BYTES)
    throw invalid("reason", `reason exceeds ${MAX_REASON_BYTES} byte limit`);
  if (reason.includes("\0")) throw invalid("reason", "reason must not contain a NUL byte");
}

/** The same for the same request, so that its snapshot and its row are found again. */
function rolloutId(tenantId: string, requestId: string): string {
  if (requestId === "") return randomUUID();
  const hash = createHash("sha256").update(`murmur-rollout\0${tenantId}\0${requestId}`).digest();
  hash[6] = ((hash[6] ?? 0) & 0x0f) | 0x80;
  hash[8] = ((hash[8] ?? 0) & 0x3f) | 0x80;
  const hex = hash.toString("hex");
  const parts = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20)];
  return [...parts, hex.slice(20, 32)].join("-");
}

function assertSame(known: Buffer, hash: Buffer, request: RekeyRequest, id: string): string {
  if (known.equals(hash)) return id;
  const description = "request_id was used before with another request";
  throw new AppError({
    code: "INVALID_ARGUMENT",
    reason: ErrorReason.ERROR_REASON_REQUEST_ID_REUSED,
    message: description,
    metadata: { request_id: request.requestId },
    violations: [{ field: "request_id", description }],
  });
}

/** Another call with this request id was faster. */
async function assertSameAsStored(
  deps: RekeyDeps,
  rollout: NewRollout,
  request: RekeyRequest,
): Promise<void> {
  const stored = await deps.rollouts.requestHash(rollout.tenantId, rollout.id);
  if (stored) assertSame(stored, rollout.requestHash, request, rollout.id);
}

function comingGenerations(
  { agent, descendants }: AgentTree,
  snapshots: readonly Snapshot[],
): Coming[] {
  const vmOf = new Map([agent, ...descendants].map(({ id, vmId }) => [id, vmId]));
  const { tenantId } = agent;
  return snapshots.flatMap(({ agentId, generation, sealedAhead }) => {
    const vmId = vmOf.get(agentId);
    return vmId === undefined ? [] : [{ tenantId, vmId, agentId, generation, sealedAhead }];
  });
}

interface Opening extends TreeSnapshots {
  caller: Caller;
  tree: AgentTree;
  rollout: NewRollout;
}

/** Undefined when the rollout is there already. */
async function open(
  { writer, rollouts }: RekeyDeps,
  tx: Tx,
  { caller, tree, rollout, snapshots, leftOut }: Opening,
): Promise<readonly LocalAnnouncement[] | undefined> {
  const { agent, descendants } = tree;
  await writer.lockTree(tx, agent.tenantId, agent.rootId, "update");
  const known = [agent, ...descendants].map(({ id }) => id);
  const locked = await writer.lockSubtree(tx, agent, known);
  const root = locked.find(({ id }) => id === agent.id);
  if (!root || !hasLiving(root, locked)) throw agentEnded(agent.path, root ?? agent);
  const plan = planRekey(locked, new Map(snapshots.map((it) => [it.agentId, it])), leftOut);
  const announcements = announce(rollout.id, plan.raised);
  const audit = [auditEntry(rollout, plan), ...[...leftOut].map(toLeftOutEntry)];
  if (!(await rollouts.open(tx, rollout, plan, { caller, audit, announcements }))) return undefined;
  await joinAbove(rollouts, tx, plan, snapshots);
  return announcements;
}

function auditEntry({ id, agent }: NewRollout, { targets }: RekeyPlan): AuditEntry {
  const detail = { agent: agent.id, targets: targets.length };
  return {
    action: "agent.rekey",
    objectKind: "rollout",
    objectId: id,
    outcome: "ok",
    detail,
  };
}

function toLeftOutEntry([agentId, reason]: [string, string]): AuditEntry {
  return leftOutEntry(agentId, reason);
}

/** A first generation lets its agent join what is open above it, whoever asked for it. */
async function joinAbove(
  rollouts: Pick<RolloutStore, "lockOpenOf" | "recordGeneration">,
  tx: Tx,
  { targets }: RekeyPlan,
  snapshots: readonly Snapshot[],
): Promise<void> {
  for (const target of targets) {
    const { agent, state } = target;
    const snapshot = snapshots.find(({ agentId }) => agentId === agent.id);
    if (agent.desired > 0n || state === "skipped" || !snapshot) continue;
    const joined = joinsOpenRollouts(agent, await rollouts.lockOpenOf(tx, agent));
    if (joined.length === 0) continue;
    const rolloutIds = joined.map(({ id }) => id);
    await rollouts.recordGeneration(tx, { target, snapshot, rolloutIds });
  }
}
