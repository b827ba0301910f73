import { type AuditRecord, type ListedAuditRecord } from "../../gen/murmur/audit/v1/audit";
import { printable } from "../output/printable";
import { table } from "../output/table";

/** A record, and whose audit it is in. */
export interface ShownRecord extends ListedAuditRecord {
  service: string;
  record: AuditRecord;
}

/** One line each. */
export function recordTable(
  records: readonly ShownRecord[],
  { bold, red }: { bold: (text: string) => string; red: (text: string) => string },
): string[] {
  return table(
    records,
    [
      { title: "TIME", text: ({ record }) => record.time.replace(/\.\d+Z$/, "Z") },
      { title: "SERVICE", text: ({ service }) => service },
      { title: "#", text: ({ sequence }) => (sequence === 0n ? "-" : sequence.toString()) },
      { title: "ACTOR", text: ({ record }) => actorWords(record) },
      { title: "ACTION", text: ({ record }) => record.action },
      { title: "OBJECT", text: ({ record }) => `${record.objectKind} ${record.objectId}` },
      {
        title: "OUTCOME",
        text: ({ record }) => record.outcome,
        paint: (text, { record }) => (record.outcome === "ok" ? text : red(text)),
      },
      { title: "FROM", text: ({ record }) => record.peer.replace(/:\d+$/, "") || "-" },
      { title: "DETAIL", text: ({ record }) => detailWords(record.detail) },
    ],
    bold,
  );
}

/** One object for machines, on one line; the numbers of its detail as they were written. */
export function recordToJson({ service, sequence, record }: ShownRecord): string {
  const shown = {
    ...{ service, sequence: sequence === 0n ? undefined : Number(sequence) },
    ...{ record_id: Number(record.recordId), time: record.time },
    ...{ actor_kind: record.actorKind, actor_id: record.actorId, peer: record.peer },
    ...{ action: record.action, object_kind: record.objectKind, object_id: record.objectId },
    outcome: record.outcome,
  };
  const detail = parseDetail(record.detail) ? record.detail : JSON.stringify(record.detail);
  return `${JSON.stringify(shown).slice(0, -1)},"detail":${detail}}`;
}

/** Several objects with one id are told apart by their kind. */
function actorWords({ actorKind, actorId }: AuditRecord): string {
  if (actorKind === "developer") return actorId;
  return actorId === "" ? actorKind : `${actorKind} ${actorId}`;
}

function detailWords(text: string): string {
  const detail = parseDetail(text);
  if (!detail) return printable(text);
  return Object.entries(detail)
    .map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(" ");
}

function parseDetail(text: string): Record<string, unknown> | undefined {
  try {
    const detail: unknown = JSON.parse(text);
    return typeof detail === "object" && detail !== null
      ? (detail as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined; // Shown as it is.
  }
}
