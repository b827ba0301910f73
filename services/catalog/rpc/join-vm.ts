import { verify } from "node:crypto";
import type { JoinVmRequest, JoinVmResponse } from "../../../gen/murmur/catalog/v1/vms";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { AppError, invalid } from "../../../lib/errors";
import type { CallContext, UnaryHandler } from "../../../lib/grpc/context";
import { joinTokenHash, parseJoinToken } from "../../../lib/identity/join-token";
import { joinBinding, joinMessage } from "../../../lib/identity/signed-messages";
import { publicKeyFromRaw, thumbprint } from "../../../lib/identity/signing-key";
import { sensitive } from "../../../lib/sensitive";
import type { Trust } from "../vms/trust";
import type { IdentityKey } from "../vms/vm";
import type { JoinOutcome, VmStore } from "../vms/vm-store";
import type { IssueVmToken } from "../vms/vm-tokens";

export interface JoinVmDeps {
  store: Pick<VmStore, "join">;
  trust: Trust;
  issueToken: IssueVmToken;
}

/** Registers a machine's identity key under the name in its join token. */
export function joinVm(deps: JoinVmDeps): UnaryHandler<JoinVmRequest, JoinVmResponse> {
  return async (request, context) => {
    const text = sensitive(request.joinToken);
    const key = checkKey(request, joinMessage(text));
    const token = parseJoinToken(text);
    if (!token) throw refusal();
    const outcome = await deps.store.join({
      tokenId: token.id,
      tokenHash: joinTokenHash(text),
      key,
      peer: context.peer,
    });
    if (outcome.kind === "refused") {
      alarm(context, token.id, key, outcome);
      throw refusal();
    }
    const { vm } = outcome;
    const { text: vmToken, expiresAt } = await deps.issueToken(vm, key.thumbprint);
    context.log.info("VM joined", { tenantId: vm.tenantId, vmId: vm.id, name: vm.name });
    return {
      vmId: vm.id,
      tenantId: vm.tenantId,
      name: vm.name,
      vmToken,
      vmTokenExpiresAt: expiresAt,
      trustBundle: deps.trust.bundleFor(vm, joinBinding(text)),
    };
  };
}

/** A wrong signature is a fault of the request: it uses up no token. */
function checkKey(request: JoinVmRequest, message: Buffer): IdentityKey {
  const { identityPublicKey: raw, signature } = request;
  if (raw.length !== 32)
    throw invalid("identity_public_key", "identity_public_key must be an Ed25519 key of 32 bytes");
  const key = publicKeyFromRaw(raw);
  if (signature.length !== 64 || !verify(null, message, key, signature))
    throw invalid("signature", "signature is not one by identity_public_key over the join token");
  return { raw, thumbprint: thumbprint(key) };
}

/** One line per refusal; a second use means that somebody else has, or had, the token. */
function alarm(
  { log, peer }: CallContext,
  tokenId: string,
  key: IdentityKey,
  outcome: Extract<JoinOutcome, { kind: "refused" }>,
): void {
  const { why, first } = outcome;
  const fields = { why, tokenId, peer, keyThumbprint: key.thumbprint };
  const message = why === "used" ? "join token used a second time" : "join token refused";
  log[why === "tampered" ? "error" : "warn"](message, {
    ...fields,
    ...(first && { tenantId: first.tenantId, name: first.vmName, firstUsedFrom: first.peer }),
  });
}

function refusal(): AppError {
  return new AppError({
    code: "PERMISSION_DENIED",
    reason: ErrorReason.ERROR_REASON_JOIN_TOKEN_REFUSED,
    message: "join token was used, has expired, or never was",
  });
}
