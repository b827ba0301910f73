import { verify } from "node:crypto";
import type { RenewVmTokenRequest, RenewVmTokenResponse } from "../../../gen/murmur/catalog/v1/vms";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import type { Clock } from "../../../lib/clock";
import { AppError } from "../../../lib/errors";
import type { CallContext, UnaryHandler } from "../../../lib/grpc/context";
import { createReplayGuard, type ReplayGuard } from "../../../lib/identity/replay-guard";
import { NONCE_BYTES, renewMessage } from "../../../lib/identity/signed-messages";
import { publicKeyFromRaw } from "../../../lib/identity/signing-key";
import type { Trust } from "../vms/trust";
import { isVmId, type IdentityKey, type Vm } from "../vms/vm";
import type { VmStore } from "../vms/vm-store";
import type { IssueVmToken } from "../vms/vm-tokens";

const WINDOW_MS = 5 * 60_000;

export interface RenewVmTokenDeps {
  store: Pick<VmStore, "findKey" | "findDeparted" | "touch" | "auditRefusal">;
  trust: Trust;
  issueToken: IssueVmToken;
  clock: Clock;
}

type Refusal =
  "malformed" | "stale" | "unknown" | "wrong-key" | "replayed" | "removed" | "tampered";

/**
 * Issues a VM token to the holder of a registered key. The caller is told one thing whatever was
 * wrong; the log is told which.
 */
export function renewVmToken(
  deps: RenewVmTokenDeps,
): UnaryHandler<RenewVmTokenRequest, RenewVmTokenResponse> {
  // Twice the window: a signature is good from 5 minutes before its time to 5 minutes after it.
  const replays = createReplayGuard(2 * WINDOW_MS, deps.clock);
  return async (request, context) => {
    const found = await authenticate(deps, replays, request, context);
    if (typeof found === "string") {
      const isAlarm = found === "tampered";
      context.log[isAlarm ? "error" : "warn"]("VM token refused", {
        why: found,
        peer: context.peer,
        ...(isVmId(request.vmId) && { vmId: request.vmId }),
      });
      throw refusal(deps.clock);
    }
    const { vm, key } = found;
    const { text, expiresAt } = await deps.issueToken(vm, key.thumbprint);
    return {
      vmToken: text,
      vmTokenExpiresAt: expiresAt,
      trustBundle: deps.trust.bundleFor(vm, request.nonce),
      tenantId: vm.tenantId,
      name: vm.name,
    };
  };
}

async function authenticate(
  { store, clock }: RenewVmTokenDeps,
  replays: ReplayGuard,
  { vmId, signedAt, nonce, signature }: RenewVmTokenRequest,
  { peer }: CallContext,
): Promise<{ vm: Vm; key: IdentityKey } | Refusal> {
  const signedAtMs = signedAt?.getTime() ?? Number.NaN;
  if (!isVmId(vmId) || nonce.length !== NONCE_BYTES || signature.length !== 64) return "malformed";
  // Written so that a time that is no number is refused, too.
  if (!(Math.abs(clock.now().getTime() - signedAtMs) <= WINDOW_MS)) return "stale";
  const registered = await store.findKey(vmId);
  const departed = registered.kind === "found" ? undefined : await store.findDeparted(vmId);
  const known = departed ? { kind: "found" as const, ...departed } : registered;
  if (known.kind !== "found") return known.kind;
  const message = renewMessage(vmId, BigInt(Math.floor(signedAtMs / 1000)), nonce);
  if (!verify(null, message, publicKeyFromRaw(known.key.raw), signature)) {
    await store.auditRefusal(known.vm, peer, "vm.renew");
    return "wrong-key";
  }
  if (!replays.isFirst(`${vmId}:${nonce.toString("base64")}`)) return "replayed";
  if (departed) return known;
  // Between the look-up and here its rights may have ended, or its key may have been replaced.
  const isStill = await store.touch(known.vm.tenantId, vmId, known.key.thumbprint);
  return isStill ? known : "removed";
}

function refusal(clock: Clock): AppError {
  return new AppError({
    code: "UNAUTHENTICATED",
    reason: ErrorReason.ERROR_REASON_UNAUTHENTICATED,
    message: "VM is unknown, or its signature or time is wrong",
    metadata: { server_time_ms: String(clock.now().getTime()) },
  });
}
