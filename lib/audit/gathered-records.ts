import { type Clock, systemClock } from "../clock";
import { type Log, silentLog } from "../log";
import type { Db } from "../postgres/db";
import type { AuditSchema } from "./audit-rows";

/** Something that changes nothing, and that anybody may do as often as they like. */
export interface GatheredRecord {
  /** Empty: of no tenant, the installation's. */
  tenantId: string;
  kind: string;
  id: string;
  /** Network address, with or without a port. */
  peer: string;
  action: string;
  objectKind: string;
  objectId: string;
  outcome: "ok" | "refused";
  detail: Readonly<Record<string, string>>;
}

/** Writes such records to the audit, gathered: a flood of them is one row with a count. */
export interface GatheredRecords {
  note(record: GatheredRecord): void;
  flush(): Promise<void>;
  run(signal: AbortSignal): Promise<void>;
}

export interface GatheredRecordsDeps {
  db: Db;
  /** Whose table `audit` they go to. */
  schema: AuditSchema;
  clock?: Clock;
  log?: Log;
}

interface Entry {
  record: GatheredRecord;
  count: number;
}

/** What a process that is killed loses is what came in so long. */
const EVERY_MS = 1_000;
/** Beyond so many kinds at once they are counted together: memory is not the caller's to fill. */
const MAX_ENTRIES = 1_000;

export function createGatheredRecords(deps: GatheredRecordsDeps): GatheredRecords {
  const { db, schema, clock = systemClock, log = silentLog } = deps;
  let entries = new Map<string, Entry>();
  const add = ({ record, count }: Entry) => {
    const key = JSON.stringify(Object.values(record));
    const known = entries.get(key);
    if (known) known.count += count;
    else entries.set(key, { record, count });
  };
  const flush = async () => {
    if (entries.size === 0) return;
    const batch = entries;
    entries = new Map();
    try {
      await write(db, schema, [...batch.values()]);
    } catch (error) {
      for (const entry of batch.values()) add(entry);
      throw error;
    }
  };
  return {
    note({ tenantId, kind, id, peer, action, objectKind, objectId, outcome, detail }) {
      const isFull = entries.size >= MAX_ENTRIES;
      const what = { tenantId, kind, action, objectKind, outcome };
      const record = isFull
        ? // The object of a refused call is its method, of which there are few.
          { ...what, objectId: action === "call" ? objectId : "", id: "", peer: "", detail: {} }
        : { ...what, objectId, id, peer: addressOf(peer), detail };
      add({ record, count: 1 });
    },
    flush,
    async run(signal) {
      while (!signal.aborted) {
        await clock.sleep(EVERY_MS, signal);
        // Also after the signal: only a process that is killed loses any.
        await flush().catch((error: unknown) => {
          log.debug("records could not be audited yet", { error });
        });
      }
    },
  };
}

/** Without the port, which differs with every connection. */
function addressOf(peer: string): string {
  return peer.replace(/:\d+$/, "");
}

async function write(db: Db, schema: AuditSchema, entries: readonly Entry[]): Promise<void> {
  const column = (name: Exclude<keyof GatheredRecord, "detail">) =>
    entries.map(({ record }) => record[name]);
  await db.query(
    `insert into ${schema}.audit (tenant_id, actor_kind, actor_id, peer,
       action, object_kind, object_id, outcome, detail)
     select tenant_id, kind, id, peer, action, object_kind, object_id, outcome,
       jsonb_build_object('count', count) || detail
     from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
         $8::text[], $9::integer[], $10::jsonb[])
       as e(tenant_id, kind, id, peer, action, object_kind, object_id, outcome, count, detail)`,
    [
      ...[column("tenantId"), column("kind"), column("id"), column("peer"), column("action")],
      ...[column("objectKind"), column("objectId"), column("outcome")],
      entries.map(({ count }) => count),
      entries.map(({ record }) => JSON.stringify(record.detail)),
    ],
  );
}
