import { type BindingDeps, type By, countAttempt, type LimitedAttempt } from "./binding-call";
import { isSameHash } from "./domain/agent-hash";
import { assertFound, assertSees } from "./domain/authority";
import type { BoundAgent } from "./domain/bound-agent";

const ATTEMPT: LimitedAttempt = {
  ...{ action: "verify-binding", message: "Too many verifications (max 60 per hour)" },
  limit: { name: "binding-verifies", max: 60, windowSeconds: 3600 },
};

/** Whether an agent is bound to the key with this hash. */
export async function verifyBinding(
  deps: BindingDeps,
  by: By,
  { id, hash }: { id: string; hash: Buffer },
): Promise<{ agent: BoundAgent; bound: boolean }> {
  await countAttempt(deps, by, ATTEMPT, id);
  const { developer } = by;
  const found = await deps.bindings.find(deps.pool, { tenantId: developer.tenantId, id });
  const agent = assertSees(developer, assertFound(found, id));
  return { agent, bound: isSameHash(hash, agent.hash) };
}
