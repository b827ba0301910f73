import { sign, verify } from "node:crypto";
import type {
  OpenDeliverySessionRequest,
  OpenDeliverySessionResponse,
} from "../../../gen/murmur/catalog/v1/delivery";
import { type FieldViolation, invalid, invalidFields, unauthenticated } from "../../../lib/errors";
import type { UnaryHandler } from "../../../lib/grpc/context";
import {
  INCARNATION_BYTES,
  sessionAnswerMessage,
  sessionRequestMessage,
  type SessionRequest,
} from "../../../lib/identity/signed-messages";
import { publicKeyFromRaw, rawPublicKey, type SigningKey } from "../../../lib/identity/signing-key";
import type { DeliverySessions, SessionOwner } from "../domain/delivery-session";
import type { VmStore } from "../vms/vm-store";
import { vmCaller } from "./vm-caller";

export interface OpenDeliverySessionDeps {
  store: Pick<VmStore, "findKey">;
  sessions: DeliverySessions;
  /** Its public half is what VMs pin. */
  signingKey: SigningKey;
}

/**
 * Agrees on a key with the in-memory key of a VM's daemon. The token says which VM calls, but only
 * the register says whether it still lives and by which key; that key has to have signed.
 */
export function openDeliverySession(
  deps: OpenDeliverySessionDeps,
): UnaryHandler<OpenDeliverySessionRequest, OpenDeliverySessionResponse> {
  const deliveryPublicKey = rawPublicKey(deps.signingKey.publicKey);
  return async (request, context) => {
    checkLengths(request);
    const owner = vmCaller(context);
    const { incarnation, hpkePublicKey, signature } = request;
    const wanted = { vmId: owner.vmId, incarnation, hpkePublicKey };
    await checkRights(deps.store, owner, wanted, signature);
    const opened = await open(deps.sessions, owner, wanted);
    const { encapsulatedKey, expiresAt } = opened;
    const sessionId = opened.session.id;
    const answer = sessionAnswerMessage(wanted, { sessionId, encapsulatedKey });
    return {
      sessionId,
      encapsulatedKey,
      deliveryPublicKey,
      signature: sign(null, answer, deps.signingKey.privateKey),
      expiresAt,
    };
  };
}

function checkLengths(request: OpenDeliverySessionRequest): void {
  const expected = [
    ["hpke_public_key", request.hpkePublicKey, 32],
    ["incarnation", request.incarnation, INCARNATION_BYTES],
    ["signature", request.signature, 64],
  ] as const;
  const violations = expected.flatMap(([field, value, length]): FieldViolation[] => {
    if (value.length === length) return [];
    return [{ field, description: `${field} must be ${length} bytes` }];
  });
  if (violations.length > 0) throw invalidFields(violations);
}

async function checkRights(
  store: Pick<VmStore, "findKey">,
  owner: SessionOwner,
  wanted: SessionRequest,
  signature: Buffer,
): Promise<void> {
  const known = await store.findKey(owner.vmId);
  if (known.kind !== "found" || known.vm.tenantId !== owner.tenantId) throw unauthenticated();
  if (known.key.thumbprint !== owner.keyThumbprint) throw unauthenticated();
  const key = publicKeyFromRaw(known.key.raw);
  if (!verify(null, sessionRequestMessage(wanted), key, signature)) throw unauthenticated();
}

async function open(sessions: DeliverySessions, owner: SessionOwner, wanted: SessionRequest) {
  try {
    return await sessions.open(owner, wanted);
  } catch {
    // Nothing but the caller's key goes into the agreement: points of low order are refused.
    throw invalid("hpke_public_key", "hpke_public_key is not a usable X25519 key");
  }
}
