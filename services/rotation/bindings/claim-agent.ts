import { isAppError } from "../../../lib/errors";
import type { Sensitive } from "../../../lib/sensitive";
import { type BindingDeps, type By, record, recordRefusal, withAgent } from "./binding-call";
import { proves } from "./domain/agent-hash";
import { claimedByAnother } from "./domain/authority";
import { agentHasHistory, proofMissing, proofRefused } from "./domain/binding-errors";
import { type BoundAgent, hasHistory } from "./domain/bound-agent";

/** An agent, and the proof that its key is the caller's. */
export interface ProvenRequest {
  id: string;
  proof: Sensitive<string> | undefined;
}

/** Makes an unclaimed agent the caller's account's; one that is already stays as it is. */
export async function claimAgent(
  deps: BindingDeps,
  by: By,
  { id, proof }: ProvenRequest,
): Promise<BoundAgent> {
  const { developer, caller } = by;
  return noteRefusal(deps, by, { action: "claim", id }, () =>
    withAgent(deps, developer, id, async (tx, agent) => {
      if (isOwn(by, agent)) return agent;
      assertProof(agent, proof);
      await record(tx, caller, { action: "claim", id: agent.id });
      return deps.bindings.claim(tx, agent, developer.id);
    }),
  );
}

/**
 * Frees the key of an agent, of the caller's own or of an unclaimed one that nothing is recorded under
 * and whose key the caller has; one that is deactivated already stays as it is.
 */
export async function deactivateAgent(
  deps: BindingDeps,
  by: By,
  { id, proof }: ProvenRequest,
): Promise<BoundAgent> {
  const { developer, caller } = by;
  return noteRefusal(deps, by, { action: "deactivate", id }, () =>
    withAgent(deps, developer, id, async (tx, agent) => {
      const own = isOwn(by, agent);
      if (agent.deactivatedAt) return agent;
      if (!own) assertProof(agent, proof);
      if (!own && hasHistory(agent)) throw agentHasHistory(id);
      await record(tx, caller, { action: "deactivate", id: agent.id });
      return deps.bindings.deactivate(tx, agent);
    }),
  );
}

/** Throws PERMISSION_DENIED when it is somebody else's. */
function isOwn({ developer }: By, { owner }: BoundAgent): boolean {
  if (owner !== undefined && owner !== developer.id) throw claimedByAnother();
  return owner !== undefined;
}

function assertProof({ hash }: BoundAgent, proof: Sensitive<string> | undefined): void {
  if (!proof) throw proofMissing();
  if (!proves(proof, hash)) throw proofRefused();
}

/** Whoever tries without the key is in the audit, as with every credential that is refused. */
async function noteRefusal<T>(
  deps: BindingDeps,
  { caller }: By,
  tried: { action: "claim" | "deactivate"; id: string },
  attempt: () => Promise<T>,
): Promise<T> {
  try {
    return await attempt();
  } catch (error) {
    if (isAppError(error, "PERMISSION_DENIED")) await recordRefusal(deps, caller, tried);
    throw error;
  }
}
