import { hash } from "node:crypto";
import { type Omission } from "./env-set";

/** How one file of a generation was written. */
export interface FileRecord {
  path: string;
  bytes: number;
  /** Of the content. It lies beside the content itself, for the daemon's eyes only. */
  sha256: string;
}

/**
 * What a generation's directory says of itself. It is written last, so a directory without one is
 * half-written; and since agents own their files, it is how a damaged one is noticed without
 * asking the catalog again.
 */
export interface Manifest {
  generation: bigint;
  fingerprint: string;
  omitted: readonly Omission[];
  files: readonly FileRecord[];
}

/** The record of a file as it is about to be written. */
export function recordOf(path: string, content: Uint8Array): FileRecord {
  return { path, bytes: content.length, sha256: sha256(content) };
}

export function sha256(bytes: Uint8Array): string {
  return hash("sha256", bytes, "hex");
}

export function encodeManifest(manifest: Manifest): Buffer {
  return Buffer.from(JSON.stringify({ ...manifest, generation: manifest.generation.toString() }));
}

/** Reads a manifest back; undefined for anything that is none. */
export function tryDecodeManifest(bytes: Uint8Array): Manifest | undefined {
  const { generation, fingerprint, omitted, files } = tryParse(bytes);
  const isWhole =
    typeof generation === "string" &&
    /^\d+$/.test(generation) &&
    typeof fingerprint === "string" &&
    Array.isArray(omitted) &&
    Array.isArray(files) &&
    files.every(isFileRecord);
  if (!isWhole) return undefined;
  const known = omitted as Omission[];
  return { generation: BigInt(generation), fingerprint, omitted: known, files };
}

function tryParse(bytes: Uint8Array): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(bytes).toString("utf8"));
    return typeof parsed === "object" && parsed !== null ? (parsed as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function isFileRecord(value: unknown): value is FileRecord {
  if (typeof value !== "object" || value === null) return false;
  const record = value as Partial<Record<keyof FileRecord, unknown>>;
  return (
    typeof record.path === "string" &&
    typeof record.bytes === "number" &&
    typeof record.sha256 === "string"
  );
}
