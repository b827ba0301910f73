import { createHash, createHmac } from "node:crypto";
import { EnvironmentSet, type EnvironmentVariable } from "../../../gen/murmur/catalog/v1/delivery";
import { type Sensitive, sensitive } from "../../../lib/sensitive";
import type { EnvSet } from "../env-set/env-set";

const KEY_BYTES = 32;

export interface OpenedEnvironment {
  set: EnvSet;
  /** What is told to the rotation service as proof of what was applied. */
  fingerprint: Buffer;
}

/**
 * Takes an unsealed set apart and checks that it is what was asked for; undefined when it is not.
 * The plaintext is wiped: its values live on in the set only.
 */
export function openEnvironment(
  plaintext: Buffer,
  wanted: { agentId: string; generation: bigint },
): OpenedEnvironment | undefined {
  const content = decode(plaintext);
  plaintext.fill(0);
  if (content?.agentId !== wanted.agentId || content.generation !== wanted.generation)
    return undefined;
  const { variables, fingerprintKey, floor } = content;
  if (fingerprintKey.length !== KEY_BYTES || floor > wanted.generation || !areSorted(variables))
    return undefined;
  const fingerprint = fingerprintOf(sensitive(fingerprintKey), wanted, variables);
  const set: EnvSet = {
    ...wanted,
    variables: variables.map(({ name, value, asFile }) => {
      return { name, value: sensitive(value), delivery: asFile ? "file" : "environment" };
    }),
    unset: content.unsetNames,
    fingerprint: fingerprint.toString("hex"),
  };
  return { set, fingerprint };
}

/** As EnvironmentSet.fingerprint_key in the contract says. */
export function fingerprintOf(
  key: Sensitive<Uint8Array>,
  { agentId, generation }: { agentId: string; generation: bigint },
  variables: readonly EnvironmentVariable[],
): Buffer {
  const digest = createHash("sha256");
  for (const { name, value, asFile } of variables) {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(value.length);
    digest.update(`${name}\0`).update(Buffer.of(asFile ? 1 : 0));
    digest.update(length).update(value);
  }
  return createHmac("sha256", key.expose())
    .update(`${agentId}\0${generation}\0`)
    .update(digest.digest())
    .digest();
}

function decode(plaintext: Buffer): EnvironmentSet | undefined {
  try {
    return EnvironmentSet.decode(plaintext);
  } catch {
    return undefined; // Sealed by the catalog, and yet not a set: refused by the caller.
  }
}

/** By bytes and each name once: the fingerprint depends on the order. */
function areSorted(variables: readonly EnvironmentVariable[]): boolean {
  return variables.every(({ name }, at) => {
    const previous = variables[at - 1];
    return !previous || Buffer.compare(Buffer.from(previous.name), Buffer.from(name)) < 0;
  });
}
