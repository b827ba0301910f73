import { type Clock, systemClock } from "../clock";
import type { RefusedCall } from "../grpc/run-call";
import { credentialIdOf } from "../identity/refused-credential";
import { type Log, silentLog } from "../log";
import type { Db } from "../postgres/db";

export interface RefusalsDeps {
  db: Db;
  /** Whose table `audit` they go to. */
  schema: "catalog" | "rotation";
  clock?: Clock;
  log?: Log;
}

/** Writes refused calls to the audit, gathered: a flood of them is one row with a count. */
export interface Refusals {
  note(refused: RefusedCall): void;
  flush(): Promise<void>;
  run(signal: AbortSignal): Promise<void>;
}

interface Entry {
  tenantId: string;
  kind: string;
  id: string;
  method: string;
  peer: string;
  /** Which credential it was, and why it was refused, where that is known. */
  detail: Readonly<Record<string, string>>;
  count: number;
}

/** What a process that is killed loses is the refusals of so long. */
const EVERY_MS = 1_000;
/** Beyond so many kinds at once they are counted together: memory is not the caller's to fill. */
const MAX_ENTRIES = 1_000;
/** Whose refusals have no tenant: they are the installation's. */
const STRANGER = { tenantId: "", kind: "unknown", id: "" };

export function createRefusals({
  db,
  schema,
  clock = systemClock,
  log = silentLog,
}: RefusalsDeps): Refusals {
  let entries = new Map<string, Entry>();
  const add = (entry: Entry) => {
    const { tenantId, kind, id, method, peer, detail } = entry;
    const key = JSON.stringify([tenantId, kind, id, method, peer, detail]);
    const known = entries.get(key);
    if (known) known.count += entry.count;
    else entries.set(key, entry);
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
    note(refused) {
      const isFull = entries.size >= MAX_ENTRIES;
      const { tenantId, kind, id } = refused.credential ?? refused.principal ?? STRANGER;
      add({
        ...{ tenantId, kind, method: refused.method, count: 1 },
        id: isFull ? "" : id,
        peer: isFull ? "" : addressOf(refused.peer),
        detail: isFull ? {} : detailOf(refused),
      });
    },
    flush,
    async run(signal) {
      while (!signal.aborted) {
        await clock.sleep(EVERY_MS, signal);
        await flush().catch((error: unknown) => {
          log.debug("refused calls could not be audited yet", { error });
        });
      }
    },
  };
}

/** The credential under the name that records of what was done by it have, too. */
function detailOf({ principal, credential }: RefusedCall): Entry["detail"] {
  const kind = credential?.kind ?? principal?.kind;
  const id = credential ? credential.credentialId : credentialIdOf(principal);
  return {
    ...(id !== undefined && { [kind === "agent" ? "agent_token" : "api_key"]: id }),
    ...(credential && { why: credential.why }),
  };
}

/** Without the port, which differs with every connection. */
function addressOf(peer: string): string {
  return peer.replace(/:\d+$/, "");
}

async function write(
  db: Db,
  schema: RefusalsDeps["schema"],
  entries: readonly Entry[],
): Promise<void> {
  await db.query(
    `insert into ${schema}.audit (tenant_id, actor_kind, actor_id, peer,
       action, object_kind, object_id, outcome, detail)
     select tenant_id, kind, id, peer, 'call', 'rpc', method, 'refused',
       jsonb_build_object('count', count) || detail
     from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::integer[], $7::jsonb[])
       as e(tenant_id, kind, id, method, peer, count, detail)`,
    [
      entries.map(({ tenantId }) => tenantId),
      entries.map(({ kind }) => kind),
      entries.map(({ id }) => id),
      entries.map(({ method }) => method),
      entries.map(({ peer }) => peer),
      entries.map(({ count }) => count),
      entries.map(({ detail }) => JSON.stringify(detail)),
    ],
  );
}
