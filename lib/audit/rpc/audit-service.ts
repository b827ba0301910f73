import {
  AuditOutcome,
  type AuditServiceService,
  type ListAuditRecordsRequest,
} from "../../../gen/murmur/audit/v1/audit";
import { invalid, unauthenticated } from "../../errors";
import type { CallContext } from "../../grpc/context";
import type { HandlersOf } from "../../grpc/definition";
import type { KeySet } from "../../identity/key-set";
import { rawPublicKey, type SigningKey, toPublicKey } from "../../identity/signing-key";
import { garbledPageToken, readPage, toPageToken } from "../../page";
import type { Db } from "../../postgres/db";
import { readTimestamp } from "../../timestamp";
import type { AuditSchema } from "../audit-rows";
import { createAuditStore, type RecordFilter, type Slice } from "../audit-store";

export interface AuditServiceDeps {
  db: Db;
  schema: AuditSchema;
  /** Signs the checkpoints now. */
  signingKey: SigningKey;
  /** Has the keys that signed earlier ones. */
  keySet: KeySet;
}

const NUMBER = /^\d{1,18}$/;

/** The handlers of AuditService for what one service records. */
export function createAuditService(deps: AuditServiceDeps): HandlersOf<typeof AuditServiceService> {
  const { db, schema: service, signingKey, keySet } = deps;
  const store = createAuditStore(db, service);
  return {
    async listAuditRecords(request, context) {
      const slice = readSlice("audit-records", request);
      const { items, next } = await store.records(tenantOf(context), readFilter(request), slice);
      return { records: items, nextPageToken: toToken("audit-records", next), service };
    },
    async listAuditLinks(request, context) {
      const tenantId = tenantOf(context);
      const slice = readSlice("audit-links", request);
      if (request.afterSequence < 0n)
        throw invalid("after_sequence", "after_sequence must not be negative");
      const after = slice.after ?? request.afterSequence;
      const { items, next } = await store.links(tenantId, { ...slice, after });
      return { links: items, nextPageToken: toToken("audit-links", next), service, tenantId };
    },
    async listUnsealedAuditRecords(request, context) {
      const slice = readSlice("unsealed-audit-records", request);
      const { items, next, sealedThrough } = await store.unsealed(tenantOf(context), slice);
      return {
        records: items,
        nextPageToken: toToken("unsealed-audit-records", next),
        sealedTransactionId: sealedThrough.transactionId,
        sealedRecordId: sealedThrough.recordId,
      };
    },
    async listAuditCheckpoints(request, context) {
      const slice = readSlice("audit-checkpoints", request);
      const { items, next } = await store.checkpoints(tenantOf(context), slice);
      return { checkpoints: items, nextPageToken: toToken("audit-checkpoints", next) };
    },
    listAuditKeys() {
      const keys = [toPublicKey(signingKey), ...keySet.ofIssuer(signingKey.issuer)];
      const byId = new Map(keys.map(({ kid, key }) => [kid, rawPublicKey(key)]));
      const entries = [...byId].map(([keyId, publicKey]) => ({ keyId, publicKey }));
      return Promise.resolve({ keys: entries });
    },
  };
}

function tenantOf({ principal }: CallContext): string {
  if (!principal) throw unauthenticated();
  return principal.tenantId;
}

function readFilter(request: ListAuditRecordsRequest): RecordFilter {
  const textOf = (field: "actor" | "action" | "object") => {
    const text = request[field];
    // PostgreSQL has no text with a NUL in it.
    if (text.includes("\0")) throw invalid(field, `${field} must not have a NUL character`);
    return text === "" ? undefined : text;
  };
  return {
    since: readTimestamp("since", request.since),
    until: readTimestamp("until", request.until),
    actor: textOf("actor"),
    action: textOf("action"),
    object: textOf("object"),
    outcome: readOutcome(request.outcome),
  };
}

function readOutcome(outcome: AuditOutcome): string | undefined {
  switch (outcome) {
    case AuditOutcome.AUDIT_OUTCOME_UNSPECIFIED:
      return undefined;
    case AuditOutcome.AUDIT_OUTCOME_OK:
      return "ok";
    case AuditOutcome.AUDIT_OUTCOME_REFUSED:
      return "refused";
    default:
      throw invalid("outcome", "outcome must be AUDIT_OUTCOME_OK or AUDIT_OUTCOME_REFUSED");
  }
}

function readSlice(list: string, request: { pageSize: number; pageToken: string }): Slice {
  const { limit, after } = readPage(list, request);
  if (after !== undefined && !NUMBER.test(after)) throw garbledPageToken();
  return { limit, after: after === undefined ? undefined : BigInt(after) };
}

function toToken(list: string, next: bigint | undefined): string {
  return next === undefined ? "" : toPageToken(list, next.toString());
}
