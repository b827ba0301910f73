import { sign } from "node:crypto";
import type { TrustBundle } from "../../../gen/murmur/catalog/v1/vms";
import type { KeySet } from "../../../lib/identity/key-set";
import { trustBundleMessage } from "../../../lib/identity/signed-messages";
import { rawPublicKey, type SigningKey } from "../../../lib/identity/signing-key";
import type { Vm } from "./vm";

/** What VMs are told to pin. */
export interface Trust {
  /** The key by which this replica signs; join tokens name it. Raw Ed25519, 32 bytes. */
  readonly deliveryPublicKey: Buffer;
  /** This service's keys, old and new, signed for one VM and one request of it. */
  bundleFor(vm: Vm, binding: Uint8Array): TrustBundle;
}

/**
 * The delivery key is the key that signs VM tokens; their messages begin differently. A new key is
 * put into the key set first and signs once every VM has renewed: at most 5 minutes later, or
 * whenever an absent VM is back, so the old one stays in the set for as long as VMs may be away.
 */
export function createTrust(signingKey: SigningKey, keySet: KeySet): Trust {
  const deliveryPublicKey = rawPublicKey(signingKey.publicKey);
  return {
    deliveryPublicKey,
    bundleFor(vm, binding) {
      const others = keySet.ofIssuer(signingKey.issuer).map(({ key }) => rawPublicKey(key));
      const isOther = (key: Buffer) => !key.equals(deliveryPublicKey);
      const deliveryPublicKeys = [deliveryPublicKey, ...others.filter(isOther)];
      const facts = { vmId: vm.id, tenantId: vm.tenantId, name: vm.name };
      const message = trustBundleMessage({ ...facts, binding, deliveryPublicKeys });
      return {
        deliveryPublicKeys,
        signingPublicKey: deliveryPublicKey,
        signature: sign(null, message, signingKey.privateKey),
      };
    },
  };
}
