import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { AppError, isAppError } from "../../../lib/errors";
import type { Log } from "../../../lib/log";
import type { Pool } from "../../../lib/postgres/db";
import { withTransaction } from "../../../lib/postgres/transaction";
import { isRetryable } from "../../../lib/retry";
import type { Sensitive } from "../../../lib/sensitive";
import { type Caller, writeAudit } from "../audit";
import type { KeyRotation } from "../domain/key-rotation";
import { type KeyProvider, WrappedKeyRefused } from "../keys/key-provider";
import type { KeyRotationStore, RewrappedKey, RotationRef } from "../store/key-rotation-store";
import type { StoredDataKey } from "../store/key-store";

/** How a tenant's secrets are encrypted. */
export interface Encryption {
  keyProvider: KeyProvider["name"];
  dataKeys: number;
  waiting: number;
  lastRotation: KeyRotation | undefined;
}

/** What can be done with the keys that data keys are wrapped under. */
export interface KeyRotations {
  /**
   * Wraps a tenant's data keys again, under a newer key-encryption key unless `rewrapOnly`. Goes on with
   * one that was begun, by whomever. Throws TOO_MANY_ATTEMPTS within an hour of the last newer key,
   * KEY_ROTATION_REFUSED, and UNAVAILABLE when the provider is away: then it goes on by itself later.
   */
  rotate(caller: Caller, wish: { rewrapOnly: boolean }): Promise<KeyRotation>;
  show(tenantId: string): Promise<Encryption>;
  /** Finishes some of what others have begun and left; returns how many there were. */
  finishAbandoned(limit: number): Promise<number>;
}

export interface KeyRotationsDeps {
  pool: Pool;
  store: KeyRotationStore;
  provider: KeyProvider;
  log: Log;
}

/** Every key stays in the keyring, or at Vault, and all tenants share it: nobody makes them by the dozen. */
const EVERY_MS = 3_600_000;
const BATCH = 100;

export function createKeyRotations(deps: KeyRotationsDeps): KeyRotations {
  const { store, provider, log } = deps;
  return {
    async rotate(caller, wish) {
      const begun = await begin(deps, caller, wish);
      await wrapAgain(deps, begun);
      const finished = await store.findLast(caller.tenantId);
      if (!finished) throw new Error("a rotation that was finished is not there");
      return finished;
    },
    async show(tenantId) {
      const [counts, lastRotation] = [await store.count(tenantId), await store.findLast(tenantId)];
      return { keyProvider: provider.name, ...counts, lastRotation };
    },
    async finishAbandoned(limit) {
      const abandoned = await store.findAbandoned(limit);
      for (const ref of abandoned) {
        try {
          await wrapAgain(deps, ref);
          log.info("finished a rotation of keys that was broken off", { ...ref });
        } catch (error) {
          // A damaged key of one tenant keeps nobody else's from being wrapped again.
          if (!isAppError(error) || isRetryable(error)) throw error;
          log.error("a rotation of keys that was broken off cannot be finished", { ...ref, error });
        }
      }
      return abandoned.length;
    },
  };
}

/** The newer key is there before the rotation is: one that breaks off here costs a key and nothing else. */
function begin(
  { pool, store, provider }: KeyRotationsDeps,
  caller: Caller,
  { rewrapOnly }: { rewrapOnly: boolean },
): Promise<KeyRotation> {
  const { tenantId, id: requestedBy } = caller;
  return withTransaction(pool, async (tx) => {
    // No lock but the tenant's own is held while Vault answers.
    await store.lock(tx, tenantId);
    const last = await store.findLast(tenantId, tx);
    if (last && !last.finishedAt) return last;
    const madeKey = !rewrapOnly;
    if (madeKey) {
      if (last?.madeKey && last.ageMs < EVERY_MS) throw tooSoon(EVERY_MS - last.ageMs);
      // The file of the keyring is read and written again: replicas that do so at once would lose a key.
      if (provider.name === "local") await store.lockKeyring(tx);
      await provider.rotate();
    }
    const begun = await store.begin(tx, tenantId, { requestedBy, madeKey });
    const object = { objectKind: "key-rotation", objectId: String(begun.number) };
    const detail = { key_provider: provider.name, made_key: madeKey };
    await writeAudit(tx, caller, [
      { action: "encryption.rotate", ...object, outcome: "ok", detail },
    ]);
    return begun;
  });
}

/**
 * Bounded steps, each of which is done or not: whoever comes next goes on behind the last. A data key that
 * does not open stays as it is and is counted, so that it keeps no other, and no later rotation, from its end.
 */
async function wrapAgain(
  { store, provider, log }: KeyRotationsDeps,
  ref: RotationRef,
): Promise<void> {
  const { tenantId, number } = ref;
  const damaged: string[] = [];
  try {
    for (;;) {
      const waiting = await store.findWaiting(ref, damaged, BATCH);
      if (waiting.length === 0) break;
      const { whole, broken } = await sortOut(provider, waiting);
      damaged.push(...broken);
      await store.replace(ref, await rewrapAll(provider, whole));
    }
  } catch (error) {
    if (!(error instanceof WrappedKeyRefused)) throw error;
    log.error("a data key was not wrapped as itself: nothing was put in its place", {
      ...{ tenantId, error },
    });
    throw tampered(number, error);
  }
  await store.finish(ref, damaged.length);
  if (damaged.length === 0) return;
  log.error("data keys do not open: they stay as they are", { tenantId, dataKeyIds: damaged });
  throw tampered(number);
}

/** Which stored keys open. */
async function sortOut(
  provider: KeyProvider,
  stored: readonly StoredDataKey[],
): Promise<{ whole: OpenedKey[]; broken: string[] }> {
  const [whole, broken]: [OpenedKey[], string[]] = [[], []];
  for (const { id, wrapped } of stored) {
    try {
      whole.push({ id, wrapped, key: await provider.unwrap(wrapped) });
    } catch (error) {
      if (!(error instanceof WrappedKeyRefused)) throw error;
      broken.push(id);
    }
  }
  return { whole, broken };
}

interface OpenedKey extends StoredDataKey {
  key: Sensitive<Buffer>;
}

/** What does not open as what it was made of takes nothing's place: a key that is lost is all that it sealed. */
async function rewrapAll(
  provider: KeyProvider,
  stored: readonly OpenedKey[],
): Promise<RewrappedKey[]> {
  if (stored.length === 0) return [];
  const rewrapped = await provider.rewrap(stored.map(({ wrapped }) => wrapped));
  const all: RewrappedKey[] = [];
  for (const [at, { id, wrapped: was, key }] of stored.entries()) {
    const is = rewrapped[at];
    if (!is) throw new WrappedKeyRefused(provider.name);
    const after = await provider.unwrap(is);
    if (!key.expose().equals(after.expose())) throw new WrappedKeyRefused(provider.name);
    all.push({ id, was, is });
  }
  return all;
}

function tampered(number: bigint, cause?: unknown): AppError {
  return new AppError({
    code: "FAILED_PRECONDITION",
    reason: ErrorReason.ERROR_REASON_TAMPERED,
    message: "a data key does not open: the database was changed by other hands",
    metadata: { key_rotation: String(number) },
    cause,
  });
}

function tooSoon(retryAfterMs: number): AppError {
  return new AppError({
    code: "RESOURCE_EXHAUSTED",
    reason: ErrorReason.ERROR_REASON_TOO_MANY_ATTEMPTS,
    message: "a newer key-encryption key was made within the last hour",
    metadata: { limit: "key-rotation" },
    retryAfterMs: Math.ceil(retryAfterMs),
  });
}
