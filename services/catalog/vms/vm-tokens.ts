import { type Clock, systemClock } from "../../../lib/clock";
import { issueVmToken } from "../../../lib/identity/claims";
import type { SigningKey } from "../../../lib/identity/signing-key";
import type { Vm } from "./vm";

/** How long a VM token is good for; a removed VM keeps the use of other services no longer. */
export const VM_TOKEN_TTL_SECONDS = 300;

export interface VmToken {
  text: string;
  expiresAt: Date;
}

/** Issues tokens that are worth nothing without the identity key which they name. */
export type IssueVmToken = (vm: Vm, keyThumbprint: string) => Promise<VmToken>;

export function createVmTokenIssuer(key: SigningKey, clock: Clock = systemClock): IssueVmToken {
  return async (vm, keyThumbprint) => {
    const issuedAtMs = Math.floor(clock.now().getTime() / 1000) * 1000;
    const text = await issueVmToken(key, {
      tenantId: vm.tenantId,
      vmId: vm.id,
      name: vm.name,
      keyThumbprint,
      ttlSeconds: VM_TOKEN_TTL_SECONDS,
      clock,
    });
    return { text, expiresAt: new Date(issuedAtMs + VM_TOKEN_TTL_SECONDS * 1000) };
  };
}
