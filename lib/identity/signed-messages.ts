import { createHash } from "node:crypto";
import type { Sensitive } from "../sensitive";

/**
 * The byte layouts that a VM and the catalog sign, or bind to a ciphertext. Each starts with a word
 * of its own, so that a signature over one can never be taken for one over another. Texts must not
 * hold a NUL: callers check ids before they come here.
 */
const NUL = Buffer.alloc(1);

export const NONCE_BYTES = 16;
export const INCARNATION_BYTES = 16;

/** Signed by the identity key: this key asks to join with this token. */
export function joinMessage(joinToken: Sensitive<string>): Buffer {
  return Buffer.concat([Buffer.from("murmur-join-v1\0"), sha256(joinToken.expose())]);
}

/** Signed by the identity key: this VM asks for a token now. `seconds` since the epoch. */
export function renewMessage(vmId: string, seconds: bigint, nonce: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`murmur-renew-v1\0${vmId}\0${seconds}\0`), nonce]);
}

export interface SessionRequest {
  vmId: string;
  /** 16 bytes. */
  incarnation: Uint8Array;
  /** X25519, 32 bytes. */
  hpkePublicKey: Uint8Array;
}

/** Signed by the identity key: sets for this VM may be sealed to this key. Also the HPKE `info`. */
export function sessionRequestMessage(request: SessionRequest): Buffer {
  return Buffer.concat([
    Buffer.from(`murmur-session-v1\0${request.vmId}\0`),
    request.incarnation,
    request.hpkePublicKey,
  ]);
}

/** Signed by the catalog's delivery key: the session that answers this request is this one. */
export function sessionAnswerMessage(
  request: SessionRequest,
  answer: { sessionId: string; encapsulatedKey: Uint8Array },
): Buffer {
  return Buffer.concat([
    sessionRequestMessage(request),
    Buffer.from(`\0${answer.sessionId}\0`),
    answer.encapsulatedKey,
  ]);
}

export interface TrustBundleFacts {
  vmId: string;
  tenantId: string;
  name: string;
  /** What makes the answer belong to one request: joinBinding or the renewal's nonce. */
  binding: Uint8Array;
  /** Ed25519, 32 bytes each. */
  deliveryPublicKeys: readonly Uint8Array[];
}

/** Signed by the catalog's delivery key: who the VM is, and which delivery keys it may trust. */
export function trustBundleMessage(facts: TrustBundleFacts): Buffer {
  return Buffer.concat([
    Buffer.from(`murmur-trust-v1\0${facts.vmId}\0${facts.tenantId}\0${facts.name}\0`),
    facts.binding,
    ...facts.deliveryPublicKeys,
  ]);
}

/** The binding of a trust bundle that answers a join. */
export function joinBinding(joinToken: Sensitive<string>): Buffer {
  return sha256(joinToken.expose());
}

export interface EnvironmentBinding {
  tenantId: string;
  vmId: string;
  agentId: string;
  generation: bigint;
  /** The request's nonce, 16 bytes. */
  nonce: Uint8Array;
}

/** The associated data of a sealed environment: it opens as nothing else than what was asked for. */
export function environmentAssociatedData(binding: EnvironmentBinding): Buffer {
  const { tenantId, vmId, agentId, generation, nonce } = binding;
  const text = `murmur-env-v1\0${tenantId}\0${vmId}\0${agentId}\0${generation}`;
  return Buffer.concat([Buffer.from(text), NUL, nonce]);
}

function sha256(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
