import { createHash, createHmac } from "node:crypto";
import { sensitive, type Sensitive } from "../../../lib/sensitive";
import type { SecretKey } from "./envelope";

/** One variable of a set, open. */
export interface EnvironmentVariable {
  name: string;
  value: Sensitive<Buffer>;
  asFile: boolean;
}

/** One generation of one agent, open: what is delivered to its VM and nowhere else. */
export interface OpenedEnvironment {
  agentId: string;
  generation: bigint;
  /** Sorted by name. */
  variables: EnvironmentVariable[];
  /** Names of variables that earlier generations had and this one has not, sorted. */
  unsetNames: readonly string[];
  fingerprintKey: Sensitive<Buffer>;
  /** The lowest generation that may still be fetched. */
  floor: bigint;
}

/**
 * Why a generation is not given: `not-available` (unknown, another VM's, below the floor, pruned),
 * `tampered` (its row or a value fails its MAC), `away` (a dependency is).
 */
export type OpenRefusal = "not-available" | "tampered" | "away";

export type OpenOutcome =
  { kind: "opened"; environment: OpenedEnvironment } | { kind: "refused"; refusal: OpenRefusal };

/** The values of a set in one piece, in order. */
export function packValues(variables: readonly EnvironmentVariable[]): Sensitive<Buffer> {
  return sensitive(Buffer.concat(variables.map(({ value }) => value.expose())));
}

/** What `packValues` packed; the sizes say where a value ends. */
export function unpackValues(
  refs: readonly { name: string; asFile: boolean; sizeBytes: number }[],
  packed: Sensitive<Buffer>,
): EnvironmentVariable[] {
  const bytes = packed.expose();
  let end = 0;
  return refs.map(({ name, asFile, sizeBytes }) => {
    const start = end;
    end += sizeBytes;
    return { name, asFile, value: sensitive(bytes.subarray(start, end)) };
  });
}

/** The digest of a set that fingerprints are made of (EnvironmentSet.fingerprint_key). */
export function digestOf(variables: readonly EnvironmentVariable[]): Sensitive<Buffer> {
  const hash = createHash("sha256");
  for (const { name, asFile, value } of variables) {
    const bytes = value.expose();
    const head = Buffer.alloc(Buffer.byteLength(name) + 6);
    const end = head.write(name);
    head[end + 1] = asFile ? 1 : 0;
    head.writeUInt32BE(bytes.length, end + 2);
    hash.update(head).update(bytes);
  }
  // It would let weak values be guessed.
  return sensitive(hash.digest());
}

/** The key that travels inside one generation: 32 bytes that tell nothing of any other. */
export function fingerprintKeyOf(
  subkey: SecretKey,
  agentId: string,
  generation: bigint,
): Sensitive<Buffer> {
  const info = `murmur-fingerprint-key-v1\0${agentId}\0${generation}`;
  return sensitive(createHmac("sha256", subkey.expose()).update(info).digest());
}

/** What a VM must show in its ack of this generation. */
export function fingerprintOf(
  key: Sensitive<Buffer>,
  { agentId, generation }: { agentId: string; generation: bigint },
  digest: Sensitive<Buffer>,
): Buffer {
  return createHmac("sha256", key.expose())
    .update(`${agentId}\0${generation}\0`)
    .update(digest.expose())
    .digest();
}
