import { randomUUID } from "node:crypto";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { conflict } from "../../../lib/errors";
import { withTransactionRetry } from "../../../lib/postgres/transaction";
import type { Caller } from "../audit";
import { type BindingDeps, record, withAgent } from "./binding-call";
import type { AgentHistory, BoundAgent } from "./domain/bound-agent";
import type { Observation } from "./store/binding-store";

/** Races that one call may lose: each means that somebody took and freed this very key meanwhile. */
const TRIES = 10;

/** The agent that has the key, or a new unclaimed one: of many that ask at once, one makes it. */
export async function observeKey(
  { pool, bindings }: BindingDeps,
  caller: Caller,
  observation: Observation,
): Promise<{ id: string; created: boolean }> {
  for (let tries = 0; tries < TRIES; tries++) {
    const known = await bindings.noteSeen(pool, observation);
    if (known !== undefined) return { id: known, created: false };
    const made = await withTransactionRetry(pool, async (tx) => {
      const shadow = await bindings.insertShadow(tx, randomUUID(), observation);
      if (shadow) await record(tx, caller, { action: "shadow", id: shadow.id });
      return shadow;
    });
    if (made) return { id: made.id, created: true };
    // Another made it between the two: look again.
  }
  throw conflict(
    ErrorReason.ERROR_REASON_KEY_ALREADY_BOUND,
    "others bind this key, too: try again",
  );
}

/** What other systems keep under an agent's id by now. */
export async function recordHistory(
  deps: BindingDeps,
  caller: Caller,
  { id, history }: { id: string; history: AgentHistory },
): Promise<BoundAgent> {
  return withAgent(deps, caller, id, async (tx, agent) => {
    const { traces, scores, trustEdges } = agent.history;
    const isMore =
      history.traces > traces || history.scores > scores || history.trustEdges > trustEdges;
    if (!isMore) return agent;
    const noted = await deps.bindings.addHistory(tx, agent, history);
    await record(tx, caller, { action: "history", id: agent.id, detail: toDetail(noted.history) });
    return noted;
  });
}

/** JSON has no bigint. */
function toDetail({ traces, scores, trustEdges }: AgentHistory) {
  return { traces: String(traces), scores: String(scores), trust_edges: String(trustEdges) };
}
