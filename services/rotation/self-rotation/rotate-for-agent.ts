import type { GatherRecord } from "../../../lib/audit/audit";
import { withTransactionRetry } from "../../../lib/postgres/transaction";
import { requireGenuine } from "../agents/changed-records";
import type { Agent } from "../agents/domain/agent";
import { giveGeneration, type GiveGenerationDeps } from "../agents/give-generation";
import type { AgentStore } from "../agents/store/agent-store";
import { type Caller, writeAudit } from "../audit";
import type { CatalogClient } from "../catalog/catalog-client";
import { type AttemptLimit, type AttemptStore, tooManyAttempts } from "../limits/attempt-limit";
import type { AgentRef, AutoRotation } from "./domain/registered-agent";
import { registeredAgentNotFound } from "./domain/self-rotation-errors";
import { makePair, type Pair, TWO_PHASE_SECONDS } from "./make-pair";
import type { PairStore } from "./store/pair-store";
import type { RegisteredAgentStore } from "./store/registered-agent-store";

export interface RotateForAgentDeps extends GiveGenerationDeps {
  agents: RegisteredAgentStore;
  pairs: PairStore;
  attempts: AttemptStore;
  gather: GatherRecord;
  runningAgents: Pick<AgentStore, "find">;
  catalog: GiveGenerationDeps["catalog"] & Pick<CatalogClient, "setAgentSecrets">;
}

const LIMIT: AttemptLimit = { name: "rotation-for-agent", max: 3, windowSeconds: 900 };
/** After a rotation that did not come to its end the next may begin; longer than any call takes. */
const RETRY_SECONDS = 60;

/**
 * Rotates for a running agent on the calling VM. The new pair becomes secrets of that agent before it
 * gets the generation that has them; until then the old pair is not touched, so that the agent works
 * on whatever is not done. What is not done is done anew, with another pair.
 */
export async function rotateForAgent(
  deps: RotateForAgentDeps,
  { vmId, caller }: { vmId: string; caller: Caller },
  id: string,
): Promise<{ credentialId: string; generation: bigint }> {
  const ref = { tenantId: caller.tenantId, id };
  const running = await findRunning(deps, ref, vmId);
  await requireGenuine(deps, caller, running);
  const who = { tenantId: ref.tenantId, subject: id };
  const waitMs = await deps.attempts.take(deps.pool, LIMIT, who);
  if (waitMs !== undefined) {
    const { tenantId, kind, id: actor, peer } = caller;
    deps.gather({
      ...{ tenantId, kind, id: actor, peer, action: "agent.rotate-for", objectId: id },
      ...{ objectKind: "registered-agent", outcome: "refused", detail: { limit: LIMIT.name } },
    });
    const message = "Too many rotations for this agent (max 3 per 15 minutes)";
    throw tooManyAttempts(LIMIT, message, waitMs);
  }
  const begun = await begin(deps, caller, ref);
  if ("credentialId" in begun) return { ...begun, generation: running.desired };
  const { pair, auto } = begun;
  const { apiKey, rotationSecret, credentialId } = pair;
  const values = new Map([
    [auto.apiKeyName, apiKey],
    [auto.rotationSecretName, rotationSecret],
  ]);
  await deps.catalog.setAgentSecrets(ref.tenantId, running.id, values);
  const requestId = `${running.id}:rotation:${credentialId}`;
  const snapshot = await giveGeneration(deps, caller, running, { requestId });
  if (!snapshot) throw registeredAgentNotFound(id);
  await withTransactionRetry(deps.pool, async (tx) => {
    await deps.agents.lock(tx, ref);
    await deps.pairs.capOlder(tx, ref, credentialId, TWO_PHASE_SECONDS);
    await deps.agents.noteRotated(tx, ref);
  });
  return { credentialId, generation: snapshot.generation };
}

/** A VM learns of no agent but those that live on it. */
async function findRunning(
  { agents, runningAgents, pool }: RotateForAgentDeps,
  ref: AgentRef,
  vmId: string,
): Promise<Agent> {
  const runningId = await agents.findRunning(pool, ref, vmId);
  const running = runningId && (await runningAgents.find(ref.tenantId, runningId));
  if (!running) throw registeredAgentNotFound(ref.id);
  return running;
}

/** Makes the pair when it is due; else says which one is the present one. */
async function begin(
  { pool, agents, pairs }: RotateForAgentDeps,
  caller: Caller,
  ref: AgentRef,
): Promise<{ pair: Pair; auto: AutoRotation } | { credentialId: string }> {
  return withTransactionRetry(pool, async (tx) => {
    const agent = await agents.lock(tx, ref);
    if (!agent?.autoRotation) throw registeredAgentNotFound(ref.id);
    if (!(await agents.takeDue(tx, ref, RETRY_SECONDS))) return { credentialId: agent.token.id };
    const pair = await makePair(pairs, tx, ref, { ids: "all", seconds: undefined });
    await writeAudit(tx, caller, [
      {
        ...{ action: "agent.rotate-for", objectKind: "registered-agent", objectId: ref.id },
        ...{ outcome: "ok", detail: { name: agent.name, token: pair.credentialId } },
      },
    ]);
    return { pair, auto: agent.autoRotation };
  });
}
