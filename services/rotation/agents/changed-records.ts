import type { Log } from "../../../lib/log";
import type { Db } from "../../../lib/postgres/db";
import { writeAudit, type AuditEntry, type Caller } from "../audit";
import type { AgentBindings, GenuineAgent } from "./agent-bindings";
import type { Agent } from "./domain/agent";
import { agentChanged } from "./domain/agent-errors";

export interface ChangedRecordsDeps {
  pool: Db;
  bindings: Pick<AgentBindings, "isGenuine">;
  log: Log;
}

/**
 * Returns the agent when its record is as this service wrote it. Otherwise tells the log and the
 * audit, and throws TAMPERED.
 */
export async function requireGenuine(
  { pool, bindings, log }: ChangedRecordsDeps,
  caller: Caller,
  agent: Agent,
): Promise<GenuineAgent> {
  if (bindings.isGenuine(agent)) return agent;
  alarmOfChangedRecord(log, agent);
  const refusal = agentChanged(agent);
  await writeAudit(pool, caller, [leftOutEntry(agent.id, refusal.message)]);
  throw refusal;
}

/** For whoever watches the log. */
export function alarmOfChangedRecord(log: Log, { tenantId, id, path, vmId }: Agent): void {
  const fields = { tenantId, agentId: id, path, vmId };
  log.error("ALARM: the record of an agent was changed by other hands", fields);
}

/** The audit of an agent that got no generation, and why. */
export function leftOutEntry(agentId: string, reason: string): AuditEntry {
  return {
    action: "agent.snapshot",
    objectKind: "agent",
    objectId: agentId,
    outcome: "refused",
    detail: { reason },
  };
}
