import { type Stats } from "node:fs";
import { type EnvFilesContext, type Ownership, ownershipFor, useAgent } from "./agent-directory";
import { type Omission } from "./env-set";
import { toEnvSetError } from "./env-set-error";
import {
  DATA_LINK,
  DIRECTORY_MODE,
  FILE_MODE,
  generationOf,
  MANIFEST_FILE,
  PAGE_FILE,
  RECEIPTS_FILE,
  visibleName,
} from "./layout";
import { tryDecodeManifest, type FileRecord, type Manifest, sha256 } from "./manifest";
import { readPage } from "./page";
import { type PinnedDirectory } from "./pinned-directory";
import { canTakeReceipts } from "./receipts-file";
import { type Owner } from "./sync-fs";

/** What stands on the VM for an agent. */
export interface Inspection {
  generation: bigint;
  fingerprint: string;
  omitted: readonly Omission[];
  /** What is not as it was written, each as `file: what`; empty when the set is whole. */
  damage: readonly string[];
}

/** The answer of `verify`. */
export type Verdict =
  | { state: "whole" }
  /** No set, or none that says what it is. */
  | { state: "absent" }
  /** A set of another generation or with another fingerprint. */
  | { state: "other"; generation: bigint; fingerprint: string }
  /** The right set with files missing, changed, or with a wrong owner or mode: swap it again. */
  | { state: "damaged"; damage: readonly string[] };

const MAX_MANIFEST_BYTES = 4 * 1024 * 1024;

/**
 * Reads the set in force back and compares every file with what the swap recorded. Undefined when
 * there is none or it cannot be told which it is. Throws EnvSetError `unsafe_directory` or `io`.
 */
export function inspect(
  context: EnvFilesContext,
  agentId: string,
  owner: Owner,
): Inspection | undefined {
  try {
    const found = useAgent(context, agentId, (directory) => look(context, directory, owner));
    if (!found || found.damage.length > 0) context.prepared.delete(agentId);
    return found;
  } catch (error) {
    throw toEnvSetError(error, `agent ${agentId}`);
  }
}

function look(
  context: EnvFilesContext,
  directory: PinnedDirectory,
  owner: Owner,
): Inspection | undefined {
  const current = directory.readLink(DATA_LINK);
  if (current === undefined || generationOf(current) === undefined) return undefined;
  if (directory.kindOf(current) !== "directory") return undefined;
  return directory.useChild(current, (generation) => {
    const manifest = readManifest(generation, context.uid);
    if (!manifest) return undefined;
    const ownership = ownershipFor(context, owner);
    const damage = [
      ...directoryDamage(directory.stat(), ".", ownership),
      ...linkDamage(directory, manifest),
      ...directoryDamage(generation.stat(), current, ownership),
      ...filesDamage(generation, manifest, ownership),
      ...pageDamage(directory, manifest),
      ...receiptsDamage(directory, ownership),
    ];
    const { fingerprint, omitted } = manifest;
    return { generation: manifest.generation, fingerprint, omitted, damage };
  });
}

/** Compares what stands with what should: level by level, as the reconciler asks. */
export function verify(
  inspection: Inspection | undefined,
  expected: { generation: bigint; fingerprint: string },
): Verdict {
  if (!inspection) return { state: "absent" };
  const { generation, fingerprint, damage } = inspection;
  if (generation !== expected.generation || fingerprint !== expected.fingerprint) {
    return { state: "other", generation, fingerprint };
  }
  return damage.length > 0 ? { state: "damaged", damage } : { state: "whole" };
}

/** The manifest of a generation, or undefined when there is none that the daemon wrote. */
export function readManifest(generation: PinnedDirectory, uid: number): Manifest | undefined {
  const file = generation.tryReadFile(MANIFEST_FILE, MAX_MANIFEST_BYTES);
  return file?.stat.uid === uid ? tryDecodeManifest(file.content) : undefined;
}

function linkDamage(directory: PinnedDirectory, { files }: Manifest): string[] {
  const names = new Set(files.flatMap(({ path }) => visibleName(path) ?? []));
  return [...names]
    .filter((name) => directory.readLink(name) !== `${DATA_LINK}/${name}`)
    .map((name) => `${name}: not a link through ${DATA_LINK}`);
}

function filesDamage(
  generation: PinnedDirectory,
  manifest: Manifest,
  ownership: Ownership,
): string[] {
  const top = manifest.files.filter(({ path }) => !path.includes("/"));
  const below = manifest.files.filter(({ path }) => path.includes("/"));
  const damage = top.flatMap((record) => fileDamage(generation, record, ownership));
  if (below.length === 0) return damage;
  if (generation.kindOf("files") !== "directory") return [...damage, "files: missing"];
  return generation.useChild("files", (files) => [
    ...damage,
    ...directoryDamage(files.stat(), "files", ownership),
    ...below.flatMap((record) => fileDamage(files, record, ownership)),
  ]);
}

function fileDamage(
  directory: PinnedDirectory,
  record: FileRecord,
  ownership: Ownership,
): string[] {
  const name = record.path.slice(record.path.indexOf("/") + 1);
  const file = directory.tryReadFile(name, record.bytes);
  if (file === undefined) return [`${record.path}: missing, or not a file of ours`];
  const { content, stat } = file;
  const damage: string[] = [];
  if (content.length !== record.bytes || sha256(content) !== record.sha256) damage.push("content");
  content.fill(0);
  if ((stat.mode & 0o7777) !== FILE_MODE) damage.push("mode");
  if (ownership.file && stat.uid !== ownership.file.uid) damage.push("owner");
  return damage.map((what) => `${record.path}: ${what}`);
}

function pageDamage(directory: PinnedDirectory, { generation }: Manifest): string[] {
  return readPage(directory) === generation ? [] : [`${PAGE_FILE}: not at this generation`];
}

function receiptsDamage(directory: PinnedDirectory, ownership: Ownership): string[] {
  if (canTakeReceipts(directory, ownership)) return [];
  return [`${RECEIPTS_FILE}: missing, or with a wrong size, owner or mode`];
}

function directoryDamage(stat: Stats, label: string, { directory }: Ownership): string[] {
  const isRight =
    (stat.mode & 0o7777) === DIRECTORY_MODE && (!directory || stat.gid === directory.gid);
  return isRight ? [] : [`${label}: mode or group`];
}
