import { type Clock, systemClock } from "../../../../lib/clock";
import { type Log, silentLog } from "../../../../lib/log";
import type { Db } from "../../../../lib/postgres/db";
import type { CredentialStore, FoundCredential } from "../store/credential-store";
import { readCredentialChanges, type ReadChanges } from "./credential-changes";
import { createCredentialLease, type View } from "./credential-lease";

export interface CredentialLookup {
  /**
   * What is known of hashes within a tenant, or in all (undefined), by their hash in hex. Only what is
   * valid is answered from memory, under the lease; all else is looked up, or fails.
   */
  find(
    tenantId: string | undefined,
    hashes: readonly Buffer[],
  ): Promise<ReadonlyMap<string, FoundCredential>>;
}

export interface CredentialLookupDeps {
  db: Db;
  credentials: Pick<CredentialStore, "findByHash">;
  readChanges?: ReadChanges;
  clock?: Clock;
  log?: Log;
}

const MAX_KEPT = 100_000;

interface Kept {
  credential: FoundCredential["credential"];
  /** By the monotonic clock. */
  untilMs: number;
}

/** Looks credentials up, and keeps those that are valid for as long as nothing can have changed them. */
export function createCredentialLookup(deps: CredentialLookupDeps): CredentialLookup {
  const { db, credentials, clock = systemClock, log = silentLog } = deps;
  const kept = new Map<string, Kept>();
  const lease = createCredentialLease({
    ...{ db, clock, log, readChanges: deps.readChanges ?? readCredentialChanges },
    onChanged: (hashes) => {
      for (const hash of hashes) kept.delete(hash);
    },
    onBroken: () => {
      kept.clear();
    },
  });

  const fromMemory = (tenantId: string | undefined, hash: string, nowMs: number) => {
    const known = kept.get(hash);
    if (!known) return undefined;
    if (nowMs >= known.untilMs) {
      kept.delete(hash);
      return undefined;
    }
    if (tenantId !== undefined && known.credential.tenantId !== tenantId) return undefined;
    const validForMs = known.untilMs === Infinity ? undefined : known.untilMs - nowMs;
    return { credential: known.credential, validForMs };
  };
  const keep = (hash: string, { credential, validForMs }: FoundCredential, askedMs: number) => {
    const isValid = credential.state === "active" || credential.state === "in-grace";
    // The first use of some changes what else is valid: it is not to be missed.
    if (!isValid || credential.awaitsFirstUse) return;
    const [oldest] = kept.keys();
    if (kept.size >= MAX_KEPT && oldest !== undefined) kept.delete(oldest);
    kept.set(hash, { credential, untilMs: askedMs + (validForMs ?? Infinity) });
  };
  const lookUp = async (
    tenantId: string | undefined,
    hashes: readonly Buffer[],
    view: View | undefined,
  ) => {
    const [askedMs, changes] = [clock.monotonicMs(), view?.changes];
    const found = await credentials.findByHash(db, tenantId, hashes);
    // Read before a change that was noticed meanwhile, or before the view broke: it may be out of date.
    const now = lease.view();
    if (now && now === view && now.changes === changes)
      for (const [hash, it] of found) keep(hash, it, askedMs);
    return found;
  };
  return {
    async find(tenantId, hashes) {
      const view = lease.view();
      if (!view) return lookUp(tenantId, hashes, view);
      const nowMs = clock.monotonicMs();
      const found = new Map<string, FoundCredential>();
      const missing: Buffer[] = [];
      for (const hash of hashes) {
        const key = hash.toString("hex");
        const known = fromMemory(tenantId, key, nowMs);
        if (known) found.set(key, known);
        else missing.push(hash);
      }
      if (missing.length === 0) return found;
      for (const [key, it] of await lookUp(tenantId, missing, view)) found.set(key, it);
      return found;
    },
  };
}
