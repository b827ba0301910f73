import { randomBytes, sign } from "node:crypto";
import type {
  JoinVmResponse,
  RenewVmTokenResponse,
  VmServiceService,
} from "../../../gen/murmur/catalog/v1/vms";
import type { ClientOf } from "../../../lib/grpc/client";
import type { JoinToken } from "../../../lib/identity/join-token";
import { joinMessage, NONCE_BYTES, renewMessage } from "../../../lib/identity/signed-messages";
import { rawPublicKey } from "../../../lib/identity/signing-key";
import type { IdentityKey } from "./identity-key";

/** The calls with which a machine proves itself by signature, before it has a token. */
export type RegisterClient = Pick<ClientOf<typeof VmServiceService>, "joinVm" | "renewVmToken">;

const TIMEOUT_MS = 5_000;

export function callJoin(
  client: RegisterClient,
  key: IdentityKey,
  token: JoinToken,
  signal: AbortSignal,
): Promise<JoinVmResponse> {
  const request = {
    joinToken: token.text.expose(),
    identityPublicKey: rawPublicKey(key.publicKey),
    signature: sign(null, joinMessage(token.text), key.privateKey),
  };
  return client.joinVm(request, { timeoutMs: TIMEOUT_MS, signal });
}

/** Signs anew in each call: a signature is taken once. */
export async function callRenew(
  client: RegisterClient,
  key: IdentityKey,
  { vmId, now }: { vmId: string; now: Date },
  signal: AbortSignal,
): Promise<{ response: RenewVmTokenResponse; nonce: Buffer }> {
  const nonce = randomBytes(NONCE_BYTES);
  const seconds = BigInt(Math.floor(now.getTime() / 1000));
  const signature = sign(null, renewMessage(vmId, seconds, nonce), key.privateKey);
  const request = { vmId, signedAt: now, nonce, signature };
  const response = await client.renewVmToken(request, { timeoutMs: TIMEOUT_MS, signal });
  return { response, nonce };
}
