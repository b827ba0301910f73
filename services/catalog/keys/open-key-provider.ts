import type { Db } from "../../../lib/postgres/db";
import type { KeyProviderConfig } from "../config";
import type { KeyProvider } from "./key-provider";

/** Opens the configured key provider. */
export function openKeyProvider(_db: Db, _config: KeyProviderConfig): Promise<KeyProvider> {
  return Promise.reject(new Error("no key provider"));
}
