import { type BoundAgent } from "../../gen/murmur/rotation/v1/bindings";
import { relativeTime } from "../output/relative-time";
import { table } from "../output/table";

/** `active`, or why it is not. */
export function stateWord({ bound, deactivatedAt, revokedAt }: BoundAgent): string {
  if (revokedAt) return "revoked";
  if (deactivatedAt) return "deactivated";
  return bound ? "active" : "bound to no key";
}

/** How the key of an agent begins: `sk-ant-api03-xxx…`; `-` when it is not known. */
export function prefixWords({ keyPrefix }: { keyPrefix: string }): string {
  return keyPrefix === "" ? "-" : `${keyPrefix}…`;
}

/** One line each. */
export function agentTable(
  agents: readonly BoundAgent[],
  { now, bold }: { now: Date; bold: (text: string) => string },
): string[] {
  return table(
    agents,
    [
      { title: "ID", text: (it) => it.agentId },
      { title: "NAME", text: (it) => it.name || "-" },
      { title: "KEY", text: prefixWords },
      { title: "STATE", text: stateWord },
      {
        title: "REKEYED",
        text: (it) => (it.rekeyedAt ? relativeTime(it.rekeyedAt, now) : "never"),
      },
      { title: "OWNER", text: (it) => it.owner || "unclaimed" },
    ],
    bold,
  );
}

/** For machines. */
export function agentToJson(agent: BoundAgent) {
  return {
    agent_id: agent.agentId,
    name: agent.name,
    key_prefix: agent.keyPrefix || undefined,
    state: stateWord(agent),
    claimed: agent.claimed,
    owner: agent.owner || undefined,
    created_at: agent.createdAt,
    rekeyed_at: agent.rekeyedAt,
    rekey_count: agent.rekeyCount,
    observed_at: agent.observedAt,
    deactivated_at: agent.deactivatedAt,
    revoked_at: agent.revokedAt,
    traces: agent.history?.traces,
    scores: agent.history?.scores,
    trust_edges: agent.history?.trustEdges,
  };
}
