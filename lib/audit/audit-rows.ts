import type { AuditRecord } from "./record";

/** The schemas that have an audit: each has the same tables, and its service's name. */
export type AuditSchema = "catalog" | "rotation";

/** A row of `<schema>.audit`, by AUDIT_COLUMNS. */
export interface AuditRow {
  tenant_id: string;
  id: bigint;
  xid: bigint;
  at: string;
  actor_kind: string;
  actor_id: string;
  peer: string;
  action: string;
  object_kind: string;
  object_id: string;
  outcome: string;
  detail: string;
}

/** A time as it is hashed: the same text whatever the session's settings are. */
export function exactTime(expression: string): string {
  return `to_char(${expression} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;
}

/** Of the table under the alias `a`. */
export const AUDIT_COLUMNS = `a.tenant_id, a.id, a.xid, ${exactTime("a.at")} as at, a.actor_kind,
  a.actor_id, a.peer, a.action, a.object_kind, a.object_id, a.outcome, a.detail::text as detail`;

export function toRecord(row: AuditRow): AuditRecord {
  return {
    recordId: row.id,
    transactionId: row.xid,
    time: row.at,
    actorKind: row.actor_kind,
    actorId: row.actor_id,
    peer: row.peer,
    action: row.action,
    objectKind: row.object_kind,
    objectId: row.object_id,
    outcome: row.outcome,
    detail: row.detail,
  };
}
