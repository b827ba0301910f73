import { createHash } from "node:crypto";
import { variableOf } from "./secret-name";

export type SecretKind = "tenant" | "user" | "spawn";

/** One secret of a set, pinned to a version. */
export interface SecretRef {
  /** The name that it has in the environment. */
  name: string;
  kind: SecretKind;
  versionId: string;
  asFile: boolean;
  /** Bytes of the value. */
  sizeBytes: number;
  /** Of a developer's secret: where its value is sealed. Another owner's value does not open. */
  source?: SecretSource | undefined;
}

/** Whose secret, and under which name: the profile makes another name to GH_TOKEN. */
export interface SecretSource {
  developer: string;
  name: string;
}

/** What an exec takes: a larger environment makes every one of the agent fail. */
const MAX_ENVIRONMENT_BYTES = 512 * 1024;
export const MAX_NAMES = 1_000;
/** With the files: what fits in one answer to a VM. */
const MAX_SET_BYTES = 2 * 1024 * 1024;
/** The path of a file-delivered secret is the VM's; this is room enough for it. */
const PATH_BYTES = 256;
const SHOWN_LARGEST = 5;

/**
 * Joins scopes into one set, sorted by name; later scopes win. They win a variable, too: a later
 * NAME_FILE takes the place of an earlier file-delivered NAME, whose path would have been in it.
 */
export function mergeScopes(scopes: readonly (readonly SecretRef[])[]): SecretRef[] {
  const byName = new Map<string, SecretRef>();
  const nameOfVariable = new Map<string, string>();
  for (const ref of scopes.flat()) {
    const old = byName.get(ref.name);
    if (old) nameOfVariable.delete(variableOf(old.name, old.asFile));
    const variable = variableOf(ref.name, ref.asFile);
    byName.delete(nameOfVariable.get(variable) ?? "");
    byName.set(ref.name, ref);
    nameOfVariable.set(variable, ref.name);
  }
  return [...byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Names of the environment variables that a set fills, sorted. */
export function variablesOf(refs: readonly SecretRef[]): string[] {
  return refs.map(({ name, asFile }) => variableOf(name, asFile)).sort();
}

/** SHA-256 over everything that a set is; its refs are sorted by name. */
export function setIdOf(refs: readonly SecretRef[]): Buffer {
  return createHash("sha256")
    .update(JSON.stringify(refs.map(toTuple)))
    .digest();
}

/** A ref as it is stored and hashed; that of a developer's secret ends with developer and name. */
export type RefTuple = [string, SecretKind, string, boolean, number, string?, string?];

export function toTuple({ name, kind, versionId, asFile, sizeBytes, source }: SecretRef): RefTuple {
  const head = [name, kind, versionId, asFile, sizeBytes] as const;
  return source ? [...head, source.developer, source.name] : [...head];
}

export function fromTuple(tuple: RefTuple): SecretRef {
  const [name, kind, versionId, asFile, sizeBytes, developer, sealedName] = tuple;
  const ref = { name, kind, versionId, asFile, sizeBytes };
  return developer === undefined || sealedName === undefined
    ? ref
    : { ...ref, source: { developer, name: sealedName } };
}

/** Bytes of names and values. */
export function setBytes(refs: readonly SecretRef[]): number {
  return refs.reduce((sum, { name, sizeBytes }) => sum + name.length + sizeBytes, 0);
}

/** Why a set is too large for an agent to start programs with. */
export interface SizeFault {
  /** Continues `environment of agent "x" …`. */
  text: string;
  bytes: number;
  names: number;
  /** `NAME (bytes)`, largest first. */
  largest: string[];
}

export function sizeFault(refs: readonly SecretRef[]): SizeFault | undefined {
  const environmentBytes = refs.reduce((sum, ref) => sum + entryBytes(ref), 0);
  const bytes = Math.max(environmentBytes, setBytes(refs));
  const text = sizeFaultText(refs.length, environmentBytes, setBytes(refs));
  if (text === undefined) return undefined;
  const largest = [...refs]
    .sort((a, b) => b.sizeBytes - a.sizeBytes)
    .slice(0, SHOWN_LARGEST)
    .map(({ name, sizeBytes }) => `${name} (${sizeBytes})`);
  return { text, bytes, names: refs.length, largest };
}

function sizeFaultText(names: number, environment: number, all: number): string | undefined {
  if (names > MAX_NAMES) return `has ${names} names, over the limit of ${MAX_NAMES}`;
  if (environment > MAX_ENVIRONMENT_BYTES)
    return `has ${environment} bytes, over the limit of ${MAX_ENVIRONMENT_BYTES}`;
  if (all > MAX_SET_BYTES)
    return `has ${all} bytes with its files, over the limit of ${MAX_SET_BYTES}`;
  return undefined;
}

/** NAME=value and the NUL at the end, as exec counts. */
function entryBytes({ name, asFile, sizeBytes }: SecretRef): number {
  return variableOf(name, asFile).length + (asFile ? PATH_BYTES : sizeBytes) + 2;
}

/** Names added, replaced or dropped from one set to the next, sorted. */
export function changedNames(from: readonly SecretRef[], to: readonly SecretRef[]): string[] {
  const before = new Map(from.map((ref) => [ref.name, ref.versionId]));
  const after = new Map(to.map((ref) => [ref.name, ref.versionId]));
  const names = new Set([...before.keys(), ...after.keys()]);
  return [...names].filter((name) => before.get(name) !== after.get(name)).sort();
}
