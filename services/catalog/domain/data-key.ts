import { deriveSubkey, type SecretKey, type SubkeyPurpose } from "./envelope";

/** A data key of one tenant, open. */
export interface DataKey {
  id: string;
  key: SecretKey;
  /** A subkey for one purpose, derived once. */
  subkey(purpose: SubkeyPurpose): SecretKey;
}

export function createDataKey(id: string, key: SecretKey): DataKey {
  const subkeys = new Map<SubkeyPurpose, SecretKey>();
  return {
    id,
    key,
    subkey(purpose) {
      const subkey = subkeys.get(purpose) ?? deriveSubkey(key, purpose);
      subkeys.set(purpose, subkey);
      return subkey;
    },
  };
}
