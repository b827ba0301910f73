import type { KeyObject } from "node:crypto";
import { createKeySet } from "../../lib/identity/key-set";
import { publicKeyFromRaw } from "../../lib/identity/signing-key";
import { LocalError } from "../errors";
import { patient } from "../patient";
import { type KeptCheckpoint } from "./kept-checkpoints";
import { type AuditedService } from "./services";

export type FindKey = (keyId: string) => KeyObject | undefined;

/**
 * The public keys of a service's checkpoints: of a key set file, which has to be its issuer's, or as the
 * service itself says. Keys of checkpoints that were kept are known from then.
 */
export async function findKeys(
  { service, audit }: AuditedService,
  keySetFile: string | undefined,
  kept: readonly KeptCheckpoint[],
): Promise<FindKey> {
  if (keySetFile !== undefined) {
    const keySet = openKeySet(keySetFile);
    return (keyId) => {
      const found = keySet.find(keyId);
      return found?.issuer === `murmur-${service}` ? found.key : undefined;
    };
  }
  const { keys } = await patient(() => audit.listAuditKeys({}));
  const known = new Map(keys.map(({ keyId, publicKey }) => [keyId, publicKey]));
  for (const { checkpoint, publicKey } of kept) known.set(checkpoint.keyId, publicKey);
  return (keyId) => {
    const raw = known.get(keyId);
    return raw && publicKeyFromRaw(raw);
  };
}

function openKeySet(file: string) {
  try {
    return createKeySet(file);
  } catch {
    throw new LocalError(
      `${file} cannot be read as a key set`,
      "It is the file that MURMUR_KEY_SET_FILE names for the services.",
    );
  }
}
