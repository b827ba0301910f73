import { type Clock, systemClock } from "../../../../lib/clock";
import type { Db } from "../../../../lib/postgres/db";
import type { CredentialStore, FoundCredential } from "../store/credential-store";
import type { CredentialLease } from "./credential-lease";
import { createLeasedMemory } from "./leased-memory";

export interface CredentialLookup {
  /**
   * What is known of hashes within a tenant, or in all (undefined), by their hash in base64. Only what is
   * valid is answered from memory, under the lease; all else is looked up, or fails.
   */
  find(
    tenantId: string | undefined,
    hashes: readonly Buffer[],
  ): Promise<ReadonlyMap<string, FoundCredential>>;
  /** The same in their order, from memory alone; undefined when it does not have all of them. */
  recall(tenantId: string | undefined, hashes: readonly string[]): FoundCredential[] | undefined;
}

export interface CredentialLookupDeps {
  db: Db;
  credentials: Pick<CredentialStore, "findByHash">;
  lease: CredentialLease;
  clock?: Clock;
}

const MAX_KEPT = 100_000;

interface Kept {
  credential: FoundCredential["credential"];
  /** By the database's clock. */
  untilMs: number;
}

/** Looks credentials up, and keeps those that are valid for as long as nothing can have changed them. */
export function createCredentialLookup(deps: CredentialLookupDeps): CredentialLookup {
  const { db, credentials, lease, clock = systemClock } = deps;
  const memory = createLeasedMemory<Kept>(lease, {
    keysOf: (changes) => changes.credentials.map(({ hash }) => hash),
    maxKept: MAX_KEPT,
  });
  const lookUp = (tenantId: string | undefined, hashes: readonly Buffer[]) =>
    memory.keep(() => credentials.findByHash(db, tenantId, hashes), toKept);
  return {
    async find(tenantId, hashes) {
      const open = memory.open();
      if (!open) return lookUp(tenantId, hashes);
      const databaseMs = clock.monotonicMs() + open.databaseAheadMs;
      const found = new Map<string, FoundCredential>();
      const missing: Buffer[] = [];
      for (const hash of hashes) {
        const key = hash.toString("base64");
        const answer = answerFrom(open.kept.get(key), tenantId, databaseMs);
        if (answer) found.set(key, answer);
        else missing.push(hash);
      }
      if (missing.length === 0) return found;
      for (const [key, it] of await lookUp(tenantId, missing)) found.set(key, it);
      return found;
    },
    recall(tenantId, hashes) {
      const open = memory.open();
      if (!open) return undefined;
      const databaseMs = clock.monotonicMs() + open.databaseAheadMs;
      const answers: FoundCredential[] = [];
      for (const hash of hashes) {
        const answer = answerFrom(open.kept.get(hash), tenantId, databaseMs);
        if (!answer) return undefined;
        answers.push(answer);
      }
      return answers;
    },
  };
}

function answerFrom(
  known: Kept | undefined,
  tenantId: string | undefined,
  databaseMs: number,
): FoundCredential | undefined {
  if (!known || databaseMs >= known.untilMs) return undefined;
  const { credential, untilMs } = known;
  if (tenantId !== undefined && credential.tenantId !== tenantId) return undefined;
  return { credential, validForMs: untilMs === Infinity ? undefined : untilMs - databaseMs };
}

/** Those that are valid. */
function* toKept(found: ReadonlyMap<string, FoundCredential>): Iterable<[string, Kept]> {
  for (const [hash, { credential }] of found) {
    const isValid = credential.state === "active" || credential.state === "in_grace";
    // The first use of some changes what else is valid: it is not to be missed.
    if (isValid && !credential.awaitsFirstUse)
      yield [hash, { credential, untilMs: credential.expiresAt?.getTime() ?? Infinity }];
  }
}
