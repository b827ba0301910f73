import { api, answerOf } from "../api/client";
import type { components } from "../api/rest-types";

/** What was done or refused, by whom and when; of one service. */
export interface AuditRecord {
  /** Unique among the records of all services. */
  key: string;
  record: components["schemas"]["AuditRecord"];
}

export interface AuditFilter {
  action: string;
  actor: string;
  refusedOnly: boolean;
}

const SERVICES = ["catalog", "rotation"] as const;
const PAGE_SIZE = 200;

/** The newest of all services, newest first. */
export async function listAudit(filter: AuditFilter, signal: AbortSignal): Promise<AuditRecord[]> {
  const query = {
    page_size: PAGE_SIZE,
    ...(filter.action !== "" && { action: filter.action }),
    ...(filter.actor !== "" && { actor: filter.actor }),
    ...(filter.refusedOnly && { outcome: "refused" as const }),
  };
  const lists = SERVICES.map(async (service) => {
    const path = `/v1/audit/${service}/records` as const;
    const { records } = await answerOf(api.GET(path, { params: { query }, signal }));
    return records.flatMap(({ record }) =>
      record ? [{ key: `${service} ${record.record_id}`, record }] : [],
    );
  });
  const all = (await Promise.all(lists)).flat();
  return all.sort((a, b) => Date.parse(b.record.time) - Date.parse(a.record.time));
}

/** As a line of a file that spreadsheets open (RFC 4180). */
export function toCsv(records: readonly AuditRecord[]): string {
  const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;
  const head = ["time", "actor", "action", "object", "outcome", "from", "detail"];
  const rows = records.map(({ record }) =>
    [
      ...[record.time, `${record.actor_kind} ${record.actor_id}`, record.action],
      ...[`${record.object_kind} ${record.object_id}`, record.outcome, record.peer, record.detail],
    ].map(quoted),
  );
  return [head, ...rows].map((row) => row.join(",")).join("\r\n");
}
