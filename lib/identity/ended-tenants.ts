import { type Clock, systemClock } from "../clock";
import { refusedCredential, RefusedCredential } from "./refused-credential";
import type { Authenticate } from "../grpc/run-call";
import type { AccessTable } from "../grpc/access";
import { LEASE_MS } from "../lease";
import { isWaiting, type MayWait } from "../may-wait";
import type { Db, Tx } from "../postgres/db";
import { credentialIdOf } from "./refused-credential";
import type { Principal } from "./principal";

/** The schemas that have a table of tenants that were deleted. */
export type EndedTenantsSchema = "catalog" | "rotation";

/**
 * The tenants that were deleted: nobody of theirs is let in. A replica looks again when it last began to
 * look more than LEASE_MS ago, so whoever ends a tenant waits for `leaseOver` before they say so.
 */
export interface EndedTenants {
  /** Throws UNAVAILABLE when it cannot be told. */
  has(tenantId: string): MayWait<boolean>;
}

export interface EndedTenantsDeps {
  db: Db;
  schema: EndedTenantsSchema;
  clock?: Clock;
  /** Told of each that is new to this replica. */
  onEnded?: (tenantId: string) => void;
}

/** How old a view may be before a question has it renewed. */
const RENEW_AFTER_MS = 30;
/** Beyond such a pause all is read anew: the database may be another one by then. */
const MAX_PAUSE_MS = 1_000;

interface View {
  /** When the look began, by the monotonic clock. */
  sinceMs: number;
  /** Where the next look goes on. */
  next: bigint;
  ended: Set<string>;
}

export function createEndedTenants(deps: EndedTenantsDeps): EndedTenants {
  const { db, schema, clock = systemClock, onEnded } = deps;
  let view: View | undefined;
  let looking: Promise<View> | undefined;

  const look = async (): Promise<View> => {
    const sinceMs = clock.monotonicMs();
    const known = view && sinceMs - view.sinceMs <= MAX_PAUSE_MS ? view : undefined;
    let { next, ended } = await readEnded(db, schema, known?.next);
    const isContinuous = known !== undefined && next >= known.next;
    // Transaction numbers that go back are those of a restored database.
    if (known && !isContinuous) ({ next, ended } = await readEnded(db, schema, undefined));
    const before = view?.ended;
    for (const tenantId of ended) if (!before?.has(tenantId)) onEnded?.(tenantId);
    const all = isContinuous ? known.ended : new Set<string>();
    for (const tenantId of ended) all.add(tenantId);
    return (view = { sinceMs, next, ended: all });
  };
  const renew = () =>
    (looking ??= look().finally(() => {
      looking = undefined;
    }));
  return {
    has(tenantId) {
      const ageMs = view ? clock.monotonicMs() - view.sinceMs : Infinity;
      if (view && ageMs <= LEASE_MS) {
        // What fails is tried again by the next question, which may have to wait for it.
        if (ageMs > RENEW_AFTER_MS) renew().catch(() => undefined);
        return view.ended.has(tenantId);
      }
      return lookedSince(clock.monotonicMs()).then(({ ended }) => ended.has(tenantId));
    },
  };

  /** A look that was under way may have begun too early. */
  async function lookedSince(nowMs: number): Promise<View> {
    const seen = await renew();
    return nowMs - seen.sinceMs <= LEASE_MS ? seen : renew();
  }
}

/** Writes down that a tenant is deleted, in the caller's transaction; false: it was already. */
export async function endTenant(
  tx: Tx,
  schema: EndedTenantsSchema,
  tenantId: string,
): Promise<boolean> {
  const { rowCount } = await tx.query(
    `insert into ${schema}.ended_tenants (tenant_id) values ($1) on conflict do nothing`,
    [tenantId],
  );
  return rowCount === 1;
}

/**
 * Lets nobody in who is of a tenant that was deleted, but for the methods whose access row says so: they are
 * told what strangers are told, by whatever credential they come.
 */
export function refuseEnded(
  authenticate: Authenticate,
  { ended, access }: { ended: EndedTenants; access: AccessTable },
): Authenticate {
  return (call) => {
    const known = authenticate(call);
    if (access[call.method]?.endedTenants) return known;
    return isWaiting(known) ? known.then((it) => checked(ended, it)) : checked(ended, known);
  };
}

function checked(
  ended: EndedTenants,
  principal: Principal | undefined,
): MayWait<Principal | undefined> {
  if (!principal) return undefined;
  const isEnded = ended.has(principal.tenantId);
  if (!isWaiting(isEnded)) return isEnded ? refuse(principal) : principal;
  return isEnded.then((it) => (it ? refuse(principal) : principal));
}

function refuse(principal: Principal): never {
  const { tenantId, kind, id } = principal;
  const credentialId = credentialIdOf(principal);
  const isKnown = kind === "developer" || kind === "agent";
  throw refusedCredential(
    isKnown
      ? new RefusedCredential({ tenantId, kind, id, credentialId, why: "tenant deleted" })
      : undefined,
  );
}

/** By transaction numbers: no order of commits can hide one (`readCredentialChanges` says why). */
async function readEnded(
  db: Db,
  schema: EndedTenantsSchema,
  since: bigint | undefined,
): Promise<{ next: bigint; ended: string[] }> {
  const { rows } = await db.query<{ next: bigint; ended: string[] | null }>(
    `select pg_snapshot_xmin(pg_current_snapshot()) as next,
       (select array_agg(tenant_id) from ${schema}.ended_tenants
        where $1::xid8 is null or ended_xid >= $1::xid8) as ended`,
    [since === undefined ? null : String(since)],
    { name: "read_ended_tenants", timeoutMs: 1_000 },
  );
  const [row] = rows;
  if (!row) throw new Error("the look for ended tenants answered nothing");
  return { next: row.next, ended: row.ended ?? [] };
}
