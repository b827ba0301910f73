import { randomUUID } from "node:crypto";
import { withTransactionRetry } from "../../../lib/postgres/transaction";
import type { Caller } from "../audit";
import { type BindingDeps, record, withAgent } from "./binding-call";
import type { AgentHistory, BoundAgent } from "./domain/bound-agent";
import type { Observation } from "./store/binding-store";

/** The agent that has the key, or a new unclaimed one: of many that ask at once, one makes it. */
export async function observeKey(
  { pool, bindings }: BindingDeps,
  caller: Caller,
  observation: Observation,
): Promise<{ id: string; created: boolean }> {
  for (;;) {
    const known = await bindings.noteSeen(pool, observation);
    if (known !== undefined) return { id: known, created: false };
    const made = await withTransactionRetry(pool, async (tx) => {
      const shadow = await bindings.insertShadow(tx, randomUUID(), observation);
      if (shadow) await record(tx, caller, { action: "shadow", id: shadow.id });
      return shadow;
    });
    if (made) return { id: made.id, created: true };
    // Another made it between the two, or gave it away again: each round somebody gets on.
  }
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
