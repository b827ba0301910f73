import { createHash, randomBytes } from "node:crypto";
import { sensitive } from "../../../lib/sensitive";
import type { KeyStore, StoredKeyCheck } from "../store/key-store";
import { WrappedKeyRefused, type KeyProvider } from "./key-provider";

/** This process and its database do not belong together: an operator has to look. */
export class WrongKeyProvider extends Error {
  constructor(why: string) {
    super(`the key provider does not belong to this database: ${why}`);
    this.name = "WrongKeyProvider";
  }
}

/**
 * Makes sure that this key provider is the one that wrapped the database's data keys: with another
 * one nothing could be read, and what it wrote could not be read by the others. A new database is
 * bound to the provider that comes first. Throws UNAVAILABLE when the provider is away.
 */
async function checkKeyProvider(store: KeyStore, provider: KeyProvider): Promise<void> {
  const check = (await store.findCheck()) ?? (await store.insertCheck(await makeCheck(provider)));
  if (check.provider !== provider.name)
    throw new WrongKeyProvider(
      `its data keys are wrapped by "${check.provider}", not by "${provider.name}"`,
    );
  if (!(await opens(check, provider)))
    throw new WrongKeyProvider(
      `its data keys were wrapped under keys that this ${provider.name} does not have`,
    );
}

/** A provider that is checked before its first use: nothing is wrapped under a wrong key. */
export interface CheckedKeyProvider extends KeyProvider {
  /** Checks now. Done once: later calls return at once. */
  check(): Promise<void>;
}

/** Puts the check before the first use, so that a service may start while its provider is away. */
export function withKeyCheck(store: KeyStore, provider: KeyProvider): CheckedKeyProvider {
  let checked: Promise<void> | undefined;
  const check = async () => {
    const attempt = (checked ??= checkKeyProvider(store, provider));
    try {
      await attempt;
    } catch (error) {
      if (checked === attempt) checked = undefined;
      throw error;
    }
  };
  return {
    name: provider.name,
    check,
    wrap: async (key) => {
      await check();
      return provider.wrap(key);
    },
    unwrap: async (wrapped) => {
      await check();
      return provider.unwrap(wrapped);
    },
    rewrap: async (wrapped) => {
      await check();
      return provider.rewrap(wrapped);
    },
    rotate: async () => {
      await check();
      return provider.rotate();
    },
  };
}

async function makeCheck(provider: KeyProvider): Promise<StoredKeyCheck> {
  const probe = randomBytes(32);
  const wrapped = await provider.wrap(sensitive(probe));
  return { provider: provider.name, wrapped, digest: digestOf(probe) };
}

async function opens(check: StoredKeyCheck, provider: KeyProvider): Promise<boolean> {
  try {
    return digestOf((await provider.unwrap(check.wrapped)).expose()).equals(check.digest);
  } catch (error) {
    if (error instanceof WrappedKeyRefused) return false;
    throw error;
  }
}

function digestOf(bytes: Buffer): Buffer {
  return createHash("sha256").update(bytes).digest();
}
