import type { CallContext } from "../../lib/grpc/context";
import type { Principal } from "../../lib/identity/principal";
import type { Db } from "../../lib/postgres/db";
import { unauthenticated } from "../../lib/errors";

/** Who makes a call, within which tenant, from where. */
export interface Caller {
  tenantId: string;
  kind: Principal["kind"] | "invitation" | "unknown";
  id: string;
  peer: string;
  /** By which API key, itself or by a session; undefined: by none. */
  apiKeyId?: string;
  /** By which session; undefined: by none. */
  sessionId?: string;
}

/** The caller of an RPC that is not open to anyone. */
export function callerOf(context: CallContext): Caller {
  const { principal, peer } = context;
  if (!principal) throw unauthenticated();
  const { tenantId, kind, id } = principal;
  const { apiKey, session } = kind === "developer" ? principal : {};
  return {
    ...{ tenantId, kind, id, peer },
    ...(apiKey && { apiKeyId: apiKey.id }),
    ...(session && { sessionId: session.id }),
  };
}

/** One audit row. `detail` holds names and numbers, never a value. */
export interface AuditEntry {
  action: string;
  objectKind: string;
  objectId: string;
  outcome: "ok" | "refused";
  detail?: Record<string, unknown>;
}

/** Writes audit rows in one statement, in the transaction of what they record. */
export async function writeAudit(
  db: Db,
  caller: Caller,
  entries: readonly AuditEntry[],
): Promise<void> {
  await db.query(insertAudit(1), auditParams(caller, entries), { name: "write-audit" });
}

/**
 * The insert itself, for a statement that does more; it takes `auditParams` from `$first` on and
 * writes nothing unless the condition holds.
 */
export function insertAudit(first: number, condition = "true"): string {
  const at = (offset: number) => `$${first + offset}`;
  return `insert into rotation.audit (tenant_id, actor_kind, actor_id, peer,
       action, object_kind, object_id, outcome, detail)
     select ${at(0)}::text, ${at(1)}::text, ${at(2)}::text, ${at(3)}::text,
       action, object_kind, object_id, outcome, detail
     from unnest(${at(4)}::text[], ${at(5)}::text[], ${at(6)}::text[], ${at(7)}::text[],
       ${at(8)}::jsonb[]) as entry (action, object_kind, object_id, outcome, detail)
     where ${condition}`;
}

/** Nine parameters. */
export function auditParams(caller: Caller, entries: readonly AuditEntry[]): unknown[] {
  const by = {
    ...(caller.apiKeyId !== undefined && { api_key: caller.apiKeyId }),
    ...(caller.sessionId !== undefined && { session: caller.sessionId }),
  };
  return [
    ...[caller.tenantId, caller.kind, caller.id, caller.peer],
    entries.map(({ action }) => action),
    entries.map(({ objectKind }) => objectKind),
    entries.map(({ objectId }) => objectId),
    entries.map(({ outcome }) => outcome),
    entries.map(({ detail }) => JSON.stringify({ ...detail, ...by })),
  ];
}
