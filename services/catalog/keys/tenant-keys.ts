import { createHash, randomBytes, randomUUID } from "node:crypto";
import { type Clock, systemClock } from "../../../lib/clock";
import { sensitive, type Sensitive } from "../../../lib/sensitive";
import { createDataKey, type DataKey } from "../domain/data-key";
import { toSecretKey } from "../domain/envelope";
import type { KeyStore, StoredDataKey } from "../store/key-store";
import { WrappedKeyRefused, type KeyProvider } from "./key-provider";

/**
 * The data keys of tenants. Open keys are remembered for a bounded time, so that a key provider
 * that is away does not stop what needs no new key. Throws UNAVAILABLE when it is needed and away,
 * WrappedKeyRefused when a stored key was changed.
 */
export interface TenantKeys {
  /** The key that new rows are sealed under; made at the first use, once for all replicas. */
  current(tenantId: string): Promise<DataKey>;
  /** The key that a stored row names; undefined when the tenant has none of this id. */
  find(tenantId: string, keyId: string): Promise<DataKey | undefined>;
  /** Remembers none of a tenant's any more. */
  forget(tenantId: string): void;
}

export interface TenantKeysDeps {
  store: KeyStore;
  provider: KeyProvider;
  /** How long an open key is remembered. */
  cacheMs: number;
  clock?: Clock;
}

const KEY_BYTES = 32;
const MAX_CACHED = 100_000;

/** TenantKeys over a store of wrapped keys. Callers that want one key at once share one unwrap. */
export function createTenantKeys(deps: TenantKeysDeps): TenantKeys {
  const { store, provider, clock = systemClock } = deps;
  const remembered = new Map<string, { key: Promise<DataKey | undefined>; untilMs: number }>();

  const remember = (name: string, load: () => Promise<DataKey | undefined>) => {
    const known = remembered.get(name);
    if (known && known.untilMs > clock.monotonicMs()) return known.key;
    if (remembered.size >= MAX_CACHED) remembered.clear();
    const entry = { key: load(), untilMs: clock.monotonicMs() + deps.cacheMs };
    remembered.set(name, entry);
    const forget = () => {
      if (remembered.get(name) === entry) remembered.delete(name);
    };
    // What failed or was not found is asked for again the next time.
    entry.key.then((found) => {
      if (!found) forget();
    }, forget);
    return entry.key;
  };
  /** What is remembered or on its way, without asking for it; a failure is its own caller's. */
  const peek = async (name: string) => {
    const known = remembered.get(name);
    if (!known || known.untilMs <= clock.monotonicMs()) return undefined;
    return known.key.catch(() => undefined);
  };
  const unwrap = async (tenantId: string, stored: StoredDataKey) =>
    openPayload(tenantId, stored.id, await provider.unwrap(stored.wrapped), provider.name);
  const loadCurrent = async (tenantId: string) => {
    const stored = await store.findCurrent(tenantId);
    if (stored) return unwrap(tenantId, stored);
    const id = randomUUID();
    const bytes = randomBytes(KEY_BYTES);
    const wrapped = await provider.wrap(toPayload(tenantId, id, bytes));
    const winner = await store.insertFirst(tenantId, { id, wrapped });
    return winner.id === id ? createDataKey(id, toSecretKey(bytes)) : unwrap(tenantId, winner);
  };
  return {
    async current(tenantId) {
      const current = await remember(`${tenantId}\0`, () => loadCurrent(tenantId));
      if (!current) throw new Error("a tenant's current data key is made when it is missing");
      return current;
    },
    async find(tenantId, keyId) {
      const current = await peek(`${tenantId}\0`);
      if (current?.id === keyId) return current;
      return remember(`${tenantId}\0${keyId}`, async () => {
        const stored = await store.find(tenantId, keyId);
        return stored && unwrap(tenantId, stored);
      });
    },
    forget(tenantId) {
      for (const name of remembered.keys())
        if (name.startsWith(`${tenantId}\0`)) remembered.delete(name);
    },
  };
}

/**
 * A key travels with a digest of whose it is: transit's rewrap takes no associated data, and a
 * wrapped key that was moved to another tenant's row must not open there.
 */
function toPayload(tenantId: string, id: string, bytes: Buffer): Sensitive<Buffer> {
  return sensitive(Buffer.concat([bytes, ownerDigest(tenantId, id)]));
}

function openPayload(
  tenantId: string,
  id: string,
  payload: Sensitive<Buffer>,
  provider: KeyProvider["name"],
): DataKey {
  const bytes = payload.expose();
  if (!bytes.subarray(KEY_BYTES).equals(ownerDigest(tenantId, id)))
    throw new WrappedKeyRefused(provider);
  return createDataKey(id, toSecretKey(bytes.subarray(0, KEY_BYTES)));
}

function ownerDigest(tenantId: string, keyId: string): Buffer {
  return createHash("sha256").update(`murmur-data-key-v1\0${tenantId}\0${keyId}`).digest();
}
