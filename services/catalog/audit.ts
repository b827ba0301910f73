import type { CallContext } from "../../lib/grpc/context";
import type { Principal } from "../../lib/identity/principal";
import type { Db } from "../../lib/postgres/db";
import { unauthenticated } from "../../lib/errors";

/** Who makes a call, within which tenant, from where. */
export interface Caller {
  tenantId: string;
  kind: Principal["kind"];
  id: string;
  peer: string;
  /** By which API key; undefined: by none. */
  apiKeyId?: string;
}

/** The caller of an RPC that is not open to anyone. */
export function callerOf(context: CallContext): Caller {
  const { principal, peer } = context;
  if (!principal) throw unauthenticated();
  const { tenantId, kind, id } = principal;
  const apiKeyId = kind === "developer" ? principal.apiKey?.id : undefined;
  return { tenantId, kind, id, peer, ...(apiKeyId !== undefined && { apiKeyId }) };
}

/** One audit row. `detail` holds names and numbers, never a value. */
export interface AuditEntry {
  action: string;
  objectKind: string;
  objectId: string;
  outcome: "ok" | "refused";
  detail?: Record<string, unknown>;
}

/** What a row says besides, with the API key. */
export function detailOf(caller: Caller, detail: AuditEntry["detail"]): Record<string, unknown> {
  return { ...detail, ...(caller.apiKeyId !== undefined && { api_key: caller.apiKeyId }) };
}

/** Writes audit rows in one statement, in the transaction of what they record. */
export async function writeAudit(db: Db, caller: Caller, entries: AuditEntry[]): Promise<void> {
  await db.query(
    `insert into catalog.audit (tenant_id, actor_kind, actor_id, peer,
       action, object_kind, object_id, outcome, detail)
     select $1, $2, $3, $4, action, object_kind, object_id, outcome, detail
     from unnest($5::text[], $6::text[], $7::text[], $8::text[], $9::jsonb[])
       as entry (action, object_kind, object_id, outcome, detail)`,
    [
      caller.tenantId,
      caller.kind,
      caller.id,
      caller.peer,
      entries.map(({ action }) => action),
      entries.map(({ objectKind }) => objectKind),
      entries.map(({ objectId }) => objectId),
      entries.map(({ outcome }) => outcome),
      entries.map(({ detail }) => JSON.stringify(detailOf(caller, detail))),
    ],
    { name: "write-audit" },
  );
}
