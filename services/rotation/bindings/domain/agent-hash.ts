import { timingSafeEqual } from "node:crypto";
import { invalid } from "../../../../lib/errors";
import { type Sensitive, sensitive } from "../../../../lib/sensitive";

const HASH = /^[0-9a-f]{16}$/;
/** Some programs print it in capitals. */
const PROOF = /^[0-9a-f]{64}$/i;
const HASH_BYTES = 8;

/** Throws INVALID_ARGUMENT, which does not show the text: people paste keys. */
export function readAgentHash(field: string, text: string): Buffer {
  if (HASH.test(text)) return Buffer.from(text, "hex");
  throw invalid(field, `${field} must be 16 lower-case hex characters`);
}

/** Undefined when there is none; throws INVALID_ARGUMENT, which does not show the text. */
export function readHashProof(text: string): Sensitive<string> | undefined {
  if (text === "") return undefined;
  if (PROOF.test(text)) return sensitive(text);
  throw invalid("hash_proof", "hash_proof must be 64 hex characters");
}

/** Whether it is the hash of an agent; the time it takes says nothing of where they differ. */
export function isSameHash(hash: Buffer, of: Buffer | undefined): boolean {
  return of?.length === hash.length && timingSafeEqual(hash, of);
}

/** Whether a whole SHA-256 begins with the hash of an agent. */
export function proves(proof: Sensitive<string>, of: Buffer | undefined): boolean {
  return isSameHash(Buffer.from(proof.expose(), "hex").subarray(0, HASH_BYTES), of);
}
