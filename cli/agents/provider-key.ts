import { createHash } from "node:crypto";
import { type Sensitive } from "../../lib/sensitive";

/** What of a provider key may leave this machine. */
export interface KeyHashes {
  /** 16 hex characters: which agent the key is. */
  hash: string;
  /** All 64, for whoever has to prove that they have the key. */
  proof: string;
  /** The first 16 characters of a key that is long enough to keep the rest secret; else empty. */
  prefix: string;
}

const HASH_LENGTH = 16;
const PREFIX_LENGTH = 16;
/** The prefix of a shorter one would give too much of it away. */
const MIN_LENGTH_WITH_PREFIX = 32;
const VISIBLE_ASCII = /^[!-~]+$/;

/** SHA-256 of the key, or of `key|name` for an agent with a name, and how the key begins. */
export function hashKey(key: Sensitive<Buffer>, name: string): KeyHashes {
  const sha256 = createHash("sha256").update(key.expose());
  const proof = (name === "" ? sha256 : sha256.update(`|${name}`, "utf8")).digest("hex");
  return { hash: proof.slice(0, HASH_LENGTH), proof, prefix: prefixOf(key.expose()) };
}

function prefixOf(key: Buffer): string {
  if (Array.from(key.toString()).length < MIN_LENGTH_WITH_PREFIX) return "";
  const prefix = key.subarray(0, PREFIX_LENGTH).toString("latin1");
  return VISIBLE_ASCII.test(prefix) ? prefix : "";
}

/** The longest that fits is first. */
const VARIABLES: readonly (readonly [string, string])[] = [
  ["sk-ant-", "ANTHROPIC_API_KEY"],
  ["sk-", "OPENAI_API_KEY"],
  ["AIza", "GOOGLE_API_KEY"],
];

/** The environment variable that a provider's programs take such a key from; undefined: not known. */
export function variableOf(key: Sensitive<Buffer>): string | undefined {
  const text = key.expose().toString("latin1");
  return VARIABLES.find(([start]) => text.startsWith(start))?.[1];
}

/** Whether a text may be a key that was typed where it does not belong. */
export function looksLikeKey(text: string): boolean {
  return text.length >= 20 && VARIABLES.some(([start]) => text.startsWith(start));
}
