import { createDecipheriv, sign, verify } from "node:crypto";
import type {
  DeliveryServiceService,
  OpenDeliverySessionResponse,
  SealedEnvironment,
} from "../../../gen/murmur/catalog/v1/delivery";
import type { Clock } from "../../../lib/clock";
import type { ClientOf } from "../../../lib/grpc/client";
import {
  type AgreementKey,
  decapsulateKey,
  type SharedKey,
} from "../../../lib/identity/key-agreement";
import {
  type EnvironmentBinding,
  environmentAssociatedData,
  sessionAnswerMessage,
  sessionRequestMessage,
  type SessionRequest,
} from "../../../lib/identity/signed-messages";
import { publicKeyFromRaw } from "../../../lib/identity/signing-key";
import type { IdentityKey } from "../identity/identity-key";
import { pinnedAs } from "../identity/trust-bundle";
import type { VmState } from "../identity/vm-state";

export type DeliveryClient = ClientOf<typeof DeliveryServiceService>;

const IV_BYTES = 12;
const TAG_BYTES = 16;
/** A session is opened anew this long before the catalog ends it. */
const MARGIN_MS = 60_000;
const TIMEOUT_MS = 5_000;

/** What answered is not the catalog whose keys this VM pins. */
export class CatalogNotTrusted extends Error {
  constructor() {
    super("the delivery session is not signed by a key that this VM pins");
    this.name = "CatalogNotTrusted";
  }
}

/** A key that this incarnation shares with one replica of the catalog. */
export interface DeliverySession {
  readonly id: string;
  /** Proves calls under this session. */
  readonly proofKey: SharedKey;
  isOver(): boolean;
  /** Opens what was sealed for exactly this; undefined for anything else. */
  open(sealed: SealedEnvironment, binding: EnvironmentBinding): Buffer | undefined;
}

export interface OpenSessionDeps {
  client: DeliveryClient;
  identity: { readonly key: IdentityKey; readonly state: VmState; readonly clock: Clock };
  /** In memory only, one per incarnation of the daemon. */
  agreementKey: AgreementKey;
  /** 16 bytes. */
  incarnation: Buffer;
}

/**
 * Agrees on a key with the replica at the other end of the connection. Throws CatalogNotTrusted when
 * its answer is not signed, for this request, by a key that this VM pins.
 */
export async function openSession(
  deps: OpenSessionDeps,
  signal: AbortSignal,
): Promise<DeliverySession> {
  const { client, identity, agreementKey, incarnation } = deps;
  const { clock } = identity;
  const { vmId, deliveryPublicKeys } = identity.state;
  const wanted = { vmId, incarnation, hpkePublicKey: agreementKey.publicKey };
  const message = sessionRequestMessage(wanted);
  const signature = sign(null, message, identity.key.privateKey);
  const answer = await client.openDeliverySession(
    { hpkePublicKey: wanted.hpkePublicKey, incarnation, signature },
    { timeoutMs: TIMEOUT_MS, signal },
  );
  if (!isSignedByCatalog(wanted, answer, deliveryPublicKeys)) throw new CatalogNotTrusted();
  const keys = await decapsulateKey(agreementKey, answer.encapsulatedKey, message);
  // Its own clock tells how long; the catalog answers "unknown" if it sees that otherwise.
  const lifeMs = (answer.expiresAt?.getTime() ?? 0) - clock.now().getTime() - MARGIN_MS;
  const endsMs = clock.monotonicMs() + Math.max(lifeMs, MARGIN_MS);
  return {
    id: answer.sessionId,
    proofKey: keys.proofKey,
    isOver: () => clock.monotonicMs() >= endsMs,
    open: (sealed, binding) => unseal(keys.sealKey, sealed, binding),
  };
}

function isSignedByCatalog(
  wanted: SessionRequest,
  answer: OpenDeliverySessionResponse,
  pinned: readonly Buffer[],
): boolean {
  if (!pinnedAs(pinned)(answer.deliveryPublicKey)) return false;
  const key = publicKeyFromRaw(answer.deliveryPublicKey);
  return verify(null, sessionAnswerMessage(wanted, answer), key, answer.signature);
}

function unseal(
  key: SharedKey,
  { iv, ciphertext }: SealedEnvironment,
  binding: EnvironmentBinding,
): Buffer | undefined {
  if (iv.length !== IV_BYTES || ciphertext.length < TAG_BYTES) return undefined;
  const tagAt = ciphertext.length - TAG_BYTES;
  const decipher = createDecipheriv("aes-256-gcm", key.expose(), iv);
  decipher.setAAD(environmentAssociatedData(binding));
  decipher.setAuthTag(ciphertext.subarray(tagAt));
  const plaintext = decipher.update(ciphertext.subarray(0, tagAt));
  try {
    decipher.final();
    return plaintext;
  } catch {
    plaintext.fill(0);
    return undefined; // Not what was asked for, or changed on its way.
  }
}
