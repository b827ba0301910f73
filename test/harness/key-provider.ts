import { randomBytes, randomUUID } from "node:crypto";
import { unavailable } from "../../lib/errors";
import { sensitive } from "../../lib/sensitive";
import type { KeyProvider } from "../../services/catalog/keys/key-provider";
import { createLocalKeyProvider } from "../../services/catalog/keys/local-key-provider";
import { keyringOf } from "../../services/catalog/keys/local-keyring";

/** A key provider that can go away. */
export interface TestKeyProvider extends KeyProvider {
  isAway: boolean;
  /** How often it was asked. */
  calls: number;
}

/** A local key provider with a random key, which exists in this process only. */
export function createTestKeyProvider(): TestKeyProvider {
  const keyring = keyringOf({ id: randomUUID(), key: sensitive(randomBytes(32)) });
  const provider = createLocalKeyProvider(keyring);
  const guarded = <A extends unknown[], R>(call: (...args: A) => Promise<R>) => {
    return async (...args: A): Promise<R> => {
      result.calls++;
      if (result.isAway) throw unavailable("the key provider is away");
      return call(...args);
    };
  };
  const result: TestKeyProvider = {
    isAway: false,
    calls: 0,
    name: provider.name,
    wrap: guarded(provider.wrap),
    unwrap: guarded(provider.unwrap),
    rewrap: guarded(provider.rewrap),
    rotate: guarded(provider.rotate),
  };
  return result;
}
