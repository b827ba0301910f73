import type { Clock } from "../../../lib/clock";
import type { DeveloperPrincipal } from "../../../lib/identity/principal";
import { leaseOver } from "../../../lib/lease";
import type { Pool, Tx } from "../../../lib/postgres/db";
import { withTransactionRetry } from "../../../lib/postgres/transaction";
import type { Sensitive } from "../../../lib/sensitive";
import { type AuditEntry, type Caller, writeAudit } from "../audit";
import { assertMayHave } from "../credentials/domain/authority";
import { answerOnce, checkRequestId } from "../credentials/repeatable";
import type { SealedAnswerStore } from "../credentials/store/sealed-answer-store";
import { holdDeveloper } from "../people/admit";
import type { PersonStore } from "../people/store/person-store";
import { assertManages } from "./domain/authority";
import type { AutoRotationWish, RegisteredAgent } from "./domain/registered-agent";
import { agentRevoked } from "./domain/self-rotation-errors";
import { AT_ONCE, makePair, packPair, type Pair, unpackPair } from "./make-pair";
import type { PairStore } from "./store/pair-store";
import type { RegisteredAgentStore } from "./store/registered-agent-store";

export interface ManageAgentDeps {
  pool: Pool;
  agents: RegisteredAgentStore;
  pairs: PairStore;
  answers: SealedAnswerStore;
  people: PersonStore;
  clock: Clock;
}

/** Who asks: the developer, and who that is in the audit. */
export interface By {
  developer: DeveloperPrincipal;
  caller: Caller;
}

/** A token of an agent has no end: an API key that has one cannot get it. */
const ENDLESS_TOKEN = { kind: "agent-token", scopes: [], expiresAt: undefined } as const;

/** Throws PERMISSION_DENIED when the caller's own API key is for less than an agent's pair. */
export function assertMayHavePair({ developer }: By): void {
  assertMayHave(developer, ENDLESS_TOKEN);
}

/** Gives an agent a new pair and ends what it had, for every replica once this has resolved. */
export async function rotateAgentCredentials(
  { pool, agents, pairs, answers, people, clock }: ManageAgentDeps,
  by: By,
  { id, requestId }: { id: string; requestId: Sensitive<string> },
): Promise<Pair & { agent: RegisteredAgent }> {
  checkRequestId(requestId);
  assertMayHavePair(by);
  const { tenantId } = by.caller;
  const ref = { tenantId, id };
  const { role, id: developer, apiKey } = by.developer;
  const request = { tenantId, caller: JSON.stringify([developer, role, apiKey?.id]), requestId };
  const what = ["rotate-agent-credentials", id];
  const rotated = await withTransactionRetry(pool, async (tx) => {
    const answer = await answerOnce(tx, answers, { request, what }, async () => {
      await holdDeveloper(people, tx, by.developer);
      const agent = requireLiving(assertManages(by.developer, await agents.lock(tx, ref), id));
      const pair = await makePair(pairs, tx, ref, AT_ONCE);
      const detail = { name: agent.name, token: pair.credentialId, replaced: agent.token.id };
      await writeAudit(tx, by.caller, [entry("agent.rotate-credentials", agent, detail)]);
      return packPair(id, pair);
    });
    return { ...unpackPair(answer).pair, agent: await require(agents, tx, by, id) };
  });
  await leaseOver(clock);
  return rotated;
}

/**
 * Ends an agent and its pairs for good, for every replica once this has resolved; one that is revoked
 * already stays as it is.
 */
export async function revokeAgent(
  { pool, agents, pairs, clock }: ManageAgentDeps,
  by: By,
  id: string,
): Promise<RegisteredAgent> {
  const ref = { tenantId: by.caller.tenantId, id };
  const revoked = await withTransactionRetry(pool, async (tx) => {
    const agent = assertManages(by.developer, await agents.lock(tx, ref), id);
    if (agent.revokedAt) return agent;
    await agents.revoke(tx, ref);
    await pairs.endAll(tx, ref);
    await writeAudit(tx, by.caller, [entry("agent.revoke", agent, { name: agent.name })]);
    return require(agents, tx, by, id);
  });
  await leaseOver(clock);
  return revoked;
}

/** Says how a VM rotates for an agent; undefined: none does. */
export async function setAutoRotation(
  { pool, agents }: ManageAgentDeps,
  by: By,
  { id, wish }: { id: string; wish: AutoRotationWish | undefined },
): Promise<RegisteredAgent> {
  const ref = { tenantId: by.caller.tenantId, id };
  return withTransactionRetry(pool, async (tx) => {
    const agent = requireLiving(assertManages(by.developer, await agents.lock(tx, ref), id));
    const path = wish?.path === "" ? agent.name : wish?.path;
    await agents.setAutoRotation(tx, ref, wish && { ...wish, path: path ?? "" });
    const detail = { name: agent.name, ...wish };
    await writeAudit(tx, by.caller, [entry("agent.auto-rotate", agent, detail)]);
    return require(agents, tx, by, id);
  });
}

function requireLiving(agent: RegisteredAgent): RegisteredAgent {
  if (agent.revokedAt) throw agentRevoked(agent);
  return agent;
}

async function require(
  agents: RegisteredAgentStore,
  tx: Tx,
  { developer }: By,
  id: string,
): Promise<RegisteredAgent> {
  return assertManages(developer, await agents.find(tx, { tenantId: developer.tenantId, id }), id);
}

function entry(action: string, { id }: RegisteredAgent, detail: AuditEntry["detail"]): AuditEntry {
  return {
    ...{ action, objectKind: "registered-agent", objectId: id, outcome: "ok" },
    ...(detail && { detail }),
  };
}
