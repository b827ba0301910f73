import { readFileSync, renameSync, writeFileSync } from "node:fs";
import type { Checkpoint } from "../../lib/audit/checkpoint";
import type { ChainId } from "../../lib/audit/record";
import { publicKeyFromRaw } from "../../lib/identity/signing-key";
import { LocalError } from "../errors";

/** A checkpoint that was verified once, and the key that it was verified by. */
export interface KeptCheckpoint extends ChainId {
  checkpoint: Checkpoint;
  /** Ed25519, 32 bytes. */
  publicKey: Buffer;
}

interface KeptJson {
  service: string;
  tenant: string;
  size: string;
  head: string;
  time: string;
  key_id: string;
  signature: string;
  public_key: string;
}

/** Those of a file; none when it is not there. Throws LocalError for one that is something else. */
export function readKept(file: string): KeptCheckpoint[] {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw new LocalError(`${file} cannot be read`);
  }
  try {
    return (JSON.parse(text) as KeptJson[]).map(fromJson);
  } catch {
    throw new LocalError(`${file} does not hold checkpoints as murmur audit verify writes them`);
  }
}

/** Replaces the file whole. */
export function writeKept(file: string, kept: readonly KeptCheckpoint[]): void {
  const next = `${file}.${process.pid}.tmp`;
  try {
    writeFileSync(next, `${JSON.stringify(kept.map(toJson), undefined, 2)}\n`);
    renameSync(next, file);
  } catch {
    throw new LocalError(`${file} cannot be written`);
  }
}

function fromJson(json: KeptJson): KeptCheckpoint {
  const bytes = (text: string, encoding: BufferEncoding) => Buffer.from(text, encoding);
  const publicKey = bytes(json.public_key, "base64");
  publicKeyFromRaw(publicKey); // Throws for what is no key.
  return {
    service: json.service,
    tenantId: json.tenant,
    publicKey,
    checkpoint: {
      size: BigInt(json.size),
      head: bytes(json.head, "hex"),
      time: json.time,
      keyId: json.key_id,
      signature: bytes(json.signature, "base64"),
    },
  };
}

function toJson({ service, tenantId, checkpoint, publicKey }: KeptCheckpoint): KeptJson {
  return {
    ...{ service, tenant: tenantId, size: checkpoint.size.toString() },
    ...{ head: checkpoint.head.toString("hex"), time: checkpoint.time, key_id: checkpoint.keyId },
    signature: checkpoint.signature.toString("base64"),
    public_key: publicKey.toString("base64"),
  };
}
