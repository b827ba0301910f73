import { type KeyObject, sign, verify } from "node:crypto";
import type { SigningKey } from "../identity/signing-key";
import { type ChainHead, type ChainId, netstrings } from "./record";

/** A state of a chain that its service vouches for. */
export interface Checkpoint {
  /** How many links the chain had. */
  size: bigint;
  /** The hash of the last of them. */
  head: Buffer;
  /** `2030-01-31T12:00:00.123456Z`, by the database's clock. */
  time: string;
  keyId: string;
  /** Ed25519. */
  signature: Buffer;
}

/** Begins what is signed: no token begins so, and no other signed message of the product. */
const FORMAT = "murmur-audit-checkpoint-v1";

/** The bytes under a checkpoint's signature: netstrings, as those under a link's hash. */
export function checkpointMessage(
  { service, tenantId }: ChainId,
  { size, head, time }: Pick<Checkpoint, "size" | "head" | "time">,
): Buffer {
  const fields = [FORMAT, service, tenantId, String(size), head.toString("hex"), time];
  return Buffer.from(netstrings(fields));
}

/** Vouches for a state of a chain. */
export function signCheckpoint(
  key: Pick<SigningKey, "kid" | "privateKey">,
  chain: ChainId,
  { size, hash }: ChainHead,
  time: string,
): Checkpoint {
  const facts = { size, head: hash, time };
  const signature = sign(null, checkpointMessage(chain, facts), key.privateKey);
  return { ...facts, keyId: key.kid, signature };
}

/** Whether the key's owner vouched for this state of this chain. */
export function isSignedBy(key: KeyObject, chain: ChainId, checkpoint: Checkpoint): boolean {
  return verify(null, checkpointMessage(chain, checkpoint), key, checkpoint.signature);
}
