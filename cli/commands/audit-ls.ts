import { AuditOutcome, type ListAuditRecordsRequest } from "../../gen/murmur/audit/v1/audit";
import { eachOf } from "../../lib/audit/pages";
import { newestFirst } from "../audit/newest-first";
import { recordTable, recordToJson, type ShownRecord } from "../audit/record-views";
import { type AuditedService, auditedServices } from "../audit/services";
import { type CommandContext, type Invocation, type Run } from "../command";
import { UsageError } from "../errors";
import { parseCount } from "../input/count";
import { parsePastTime } from "../input/time";
import { patient } from "../patient";

const SHOWN = 50;
const PAGE_SIZE = 1_000;

export const run: Run = async (context, call) => {
  const { output } = context;
  const limit = parseLimit(call);
  const filter = readFilter(context, call);
  const services = await auditedServices(context, call);
  const pageSize = Math.min(PAGE_SIZE, limit);
  const lists = services.map((service) => records(service, { ...filter, pageSize }));
  const found = newestFirst(lists, ({ record }) => record.time);
  if (call.flag("json")) {
    await printJson(context, found, limit);
    return;
  }
  const shown: ShownRecord[] = [];
  let isMore = false;
  for await (const record of found) {
    isMore = shown.length === limit;
    if (isMore) break;
    shown.push(record);
  }
  output.lines(recordTable(shown, output.style));
  if (isMore)
    output.note(`These are the newest ${limit}: there are more, see --limit, --until and --json.`);
};

/** One JSON document, written as its parts come: there may be very many. */
async function printJson(
  { output }: CommandContext,
  found: AsyncIterable<ShownRecord>,
  limit: number,
): Promise<void> {
  let count = 0;
  let last: string | undefined;
  output.line("[");
  for await (const record of found) {
    if (count === limit) break;
    count += 1;
    if (last !== undefined) output.line(`${last},`);
    last = recordToJson(record);
  }
  if (last !== undefined) output.line(last);
  output.line("]");
}

function records(
  { service, audit }: AuditedService,
  request: Omit<ListAuditRecordsRequest, "pageToken">,
): AsyncGenerator<ShownRecord, undefined> {
  return eachOf(async (pageToken: string | undefined) => {
    const page = await patient(() =>
      audit.listAuditRecords({ ...request, pageToken: pageToken ?? "" }),
    );
    const items = page.records.flatMap(({ record, sequence }) =>
      record ? [{ service, sequence, record }] : [],
    );
    return { items, next: page.nextPageToken === "" ? undefined : page.nextPageToken };
  });
}

function parseLimit(call: Invocation): number {
  const text = call.text("limit");
  if (text === undefined) return call.flag("json") ? Infinity : SHOWN;
  const limit = Number(parseCount("--limit", text));
  if (limit === 0) throw new UsageError("--limit must be at least 1");
  return limit;
}

function readFilter({ clock }: CommandContext, call: Invocation) {
  const timeOf = (option: string) => {
    const text = call.text(option);
    return text === undefined ? undefined : parsePastTime(`--${option}`, text, clock.now());
  };
  return {
    since: timeOf("since"),
    until: timeOf("until"),
    actor: call.text("actor") ?? "",
    action: call.text("action") ?? "",
    object: call.text("object") ?? "",
    outcome: call.flag("refused")
      ? AuditOutcome.AUDIT_OUTCOME_REFUSED
      : AuditOutcome.AUDIT_OUTCOME_UNSPECIFIED,
  };
}
