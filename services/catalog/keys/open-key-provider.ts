import { existsSync } from "node:fs";
import type { KeyProviderConfig } from "../config";
import type { KeyStore } from "../store/key-store";
import type { KeyProvider } from "./key-provider";
import { createLocalKeyProvider } from "./local-key-provider";
import { createKeyring, openKeyring } from "./local-keyring";
import { createVaultKeyProvider } from "./vault-key-provider";

/**
 * Opens the configured key provider. A local keyring that is missing is made for a database that
 * has no keys yet; for one that has, a new keyring would open nothing, so it is an error.
 */
export async function openKeyProvider(
  store: Pick<KeyStore, "findCheck">,
  config: KeyProviderConfig,
): Promise<KeyProvider> {
  if (config.kind === "vault-transit") return createVaultKeyProvider(config);
  const { keyringFile } = config;
  if (!existsSync(keyringFile)) {
    if (await store.findCheck())
      throw new Error(`${keyringFile} is missing, and this database's keys are wrapped under it`);
    createKeyring(keyringFile);
  }
  return createLocalKeyProvider(openKeyring(keyringFile));
}
