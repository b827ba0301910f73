import { verify } from "node:crypto";
import type { TrustBundle } from "../../../gen/murmur/catalog/v1/vms";
import { deliveryKeyPin } from "../../../lib/identity/join-token";
import { trustBundleMessage } from "../../../lib/identity/signed-messages";
import { publicKeyFromRaw } from "../../../lib/identity/signing-key";

const MAX_KEYS = 16;

/** Whom a bundle is for, and the request that it answers. */
export interface BundleFacts {
  vmId: string;
  tenantId: string;
  name: string;
  binding: Uint8Array;
}

/**
 * The delivery keys of a bundle, when it was signed for these facts by a key that `isTrusted`;
 * undefined for any other. Without the signature, whoever stands between could add a key of their
 * own and so send this machine's agents what they like.
 */
export function openTrustBundle(
  bundle: TrustBundle | undefined,
  facts: BundleFacts,
  isTrusted: (key: Buffer) => boolean,
): Buffer[] | undefined {
  if (!bundle) return undefined;
  const { deliveryPublicKeys, signingPublicKey, signature } = bundle;
  const keys = [...deliveryPublicKeys, signingPublicKey];
  if (keys.some((key) => key.length !== 32) || keys.length > MAX_KEYS) return undefined;
  if (deliveryPublicKeys.length === 0 || !isTrusted(signingPublicKey)) return undefined;
  const message = trustBundleMessage({ ...facts, deliveryPublicKeys });
  const isSigned = verify(null, message, publicKeyFromRaw(signingPublicKey), signature);
  return isSigned ? deliveryPublicKeys : undefined;
}

/** Trusts the key that a join token names. */
export function pinnedBy(pin: Buffer): (key: Buffer) => boolean {
  return (key) => deliveryKeyPin(key).equals(pin);
}

/** Trusts the keys that are pinned already. */
export function pinnedAs(known: readonly Buffer[]): (key: Buffer) => boolean {
  return (key) => known.some((each) => each.equals(key));
}
