import { hash } from "node:crypto";
import { type Omission } from "./env-set";
import { EnvSetError } from "./env-set-error";
import { type RenderedSet } from "./render";

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

/** Describes a rendered set. */
export function toManifest(rendered: RenderedSet): Manifest {
  const files = rendered.files.map(({ path, content }) => {
    const bytes = content.expose();
    return { path, bytes: bytes.length, sha256: sha256(bytes) };
  });
  const { generation, fingerprint, omitted } = rendered;
  return { generation, fingerprint, omitted, files };
}

export function sha256(bytes: Uint8Array): string {
  return hash("sha256", bytes, "hex");
}

export function encodeManifest(manifest: Manifest): Buffer {
  return Buffer.from(JSON.stringify({ ...manifest, generation: manifest.generation.toString() }));
}

/** Reads a manifest back; throws EnvSetError `damaged` for anything that is none. */
export function decodeManifest(bytes: Uint8Array): Manifest {
  const parsed = parseObject(bytes);
  const { generation, fingerprint, omitted, files } = parsed;
  const isWhole =
    typeof generation === "string" &&
    /^\d+$/.test(generation) &&
    typeof fingerprint === "string" &&
    Array.isArray(omitted) &&
    Array.isArray(files) &&
    files.every(isFileRecord);
  if (!isWhole) throw new EnvSetError("damaged", "the manifest is not whole");
  return {
    generation: BigInt(generation),
    fingerprint,
    omitted: omitted as Omission[],
    files,
  };
}

function parseObject(bytes: Uint8Array): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(bytes).toString("utf8"));
    if (typeof parsed === "object" && parsed !== null) return parsed as Record<string, unknown>;
  } catch (error) {
    throw new EnvSetError("damaged", "the manifest is not JSON", error);
  }
  throw new EnvSetError("damaged", "the manifest is not an object");
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
