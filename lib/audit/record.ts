import { hash } from "node:crypto";

/** What happened, as it is stored, sent and hashed. Every field is in the hash of its link. */
export interface AuditRecord {
  recordId: bigint;
  /** Of the writing transaction: records are sealed in the order (transactionId, recordId). */
  transactionId: bigint;
  /** `2030-01-31T12:00:00.123456Z`: by the database's clock, to the microsecond. */
  time: string;
  actorKind: string;
  actorId: string;
  peer: string;
  action: string;
  objectKind: string;
  objectId: string;
  /** `ok` or `refused`. */
  outcome: string;
  /** JSON as PostgreSQL writes a jsonb: no two texts of it mean the same. */
  detail: string;
}

/** Whose chain it is. Services and tenants each have their own, so that none is taken for another. */
export interface ChainId {
  /** `catalog` or `rotation`. */
  service: string;
  /** Empty: the installation's own, for what belongs to no tenant. */
  tenantId: string;
}

/** Where in the chain a record stands. */
export interface ChainPlace {
  /** From 1 on, without a gap. */
  sequence: bigint;
  /** One more after each restore of the database: transaction ids start over. */
  epoch: number;
}

/** The end of a chain: how many links it has, and the hash of the last one. */
export interface ChainHead {
  size: bigint;
  hash: Buffer;
}

/** Of a chain without links. */
export const EMPTY_CHAIN: ChainHead = { size: 0n, hash: Buffer.alloc(0) };

const LINK_FORMAT = "murmur-audit-link-v1";

/**
 * The hash of a link: SHA-256 over its fields as netstrings (`<bytes>:<text>,`, in UTF-8), which no
 * other fields can give. docs/audit.md has the order; a change of it is another format.
 */
export function linkHash(
  { service, tenantId }: ChainId,
  { sequence, epoch }: ChainPlace,
  previous: Uint8Array,
  record: AuditRecord,
): Buffer {
  const text = netstrings([
    ...[LINK_FORMAT, service, tenantId, String(sequence), String(epoch)],
    ...[Buffer.from(previous).toString("hex"), String(record.transactionId)],
    ...[String(record.recordId), record.time, record.actorKind, record.actorId, record.peer],
    ...[record.action, record.objectKind, record.objectId, record.outcome, record.detail],
  ]);
  return hash("sha256", text, "buffer");
}

/** Texts, each with its length before it: two lists of them never give the same. */
export function netstrings(texts: readonly string[]): string {
  return texts.map((text) => `${Buffer.byteLength(text)}:${text},`).join("");
}

/** Whether one record is sealed before another of its epoch. */
export function isBefore(
  a: Pick<AuditRecord, "transactionId" | "recordId">,
  b: Pick<AuditRecord, "transactionId" | "recordId">,
): boolean {
  if (a.transactionId !== b.transactionId) return a.transactionId < b.transactionId;
  return a.recordId < b.recordId;
}
