import { isUtf8 } from "node:buffer";
import { type FieldViolation } from "../../../lib/errors";
import { readCredentialValue } from "../../../lib/identity/credential-value";
import { quoted } from "../../../lib/quoted";
import { type Sensitive, sensitive } from "../../../lib/sensitive";
import { nameFault, programStartFault, type SecretScope } from "./secret-name";

const MAX_VALUE_BYTES = 64 * 1024;
const MAX_DESCRIPTION_BYTES = 1024;
const MAX_REQUEST_ID_BYTES = 128;

/** How a secret reaches an agent. */
export type Delivery = "environment" | "file";

/** The owner of tenant secrets. */
export const TENANT = "";

/** Which secret of a tenant. */
export interface SecretPath {
  /** TENANT, or the developer whose it is, `provider/username`. */
  owner: string;
  name: string;
}

/** What is kept and shown about a secret. */
export interface Secret extends SecretPath {
  version: bigint;
  description: string | undefined;
  delivery: Delivery;
  createdAt: Date;
  updatedAt: Date;
  updatedBy: string;
}

/** One entry of a secret's history. */
export interface SecretHistoryEntry {
  version: bigint;
  writtenAt: Date;
  writtenBy: string;
  isDeletion: boolean;
  isCurrent: boolean;
  isDestroyed: boolean;
}

/** A new value for a name, as a caller asks for it. */
export interface SecretWrite extends SecretPath {
  value: Sensitive<Buffer>;
  /** Undefined keeps the description, empty clears it. */
  description: string | undefined;
  /** 0 means "does not exist". */
  expectedVersion: bigint | undefined;
  /** Undefined keeps what the secret has; `unknown` is a number that this program does not know. */
  delivery: Delivery | "unknown" | undefined;
  /** Empty: the call may not be repeated. */
  requestId: string;
}

/**
 * Everything that is wrong with a write, in the order in which callers are told: the first gives
 * the message. A value that is not UTF-8 is another matter (`isEnvironmentValue`).
 */
export function secretWriteFaults(write: SecretWrite): FieldViolation[] {
  const { name, value, description, delivery, expectedVersion } = write;
  return compact([
    ["name", nameFault(name, scopeOf(write))],
    ["plaintext_value", valueFaults(value)[0]],
    ["description", descriptionFault(description)],
    ["name", programStartFault(name)],
    ["plaintext_value", valueFaults(value)[1]],
    ["expected_version", countFault("expected_version", expectedVersion)],
    ["delivery", deliveryFault(name, delivery)],
    ["request_id", requestIdFault(write.requestId)],
  ]);
}

/** Whose secrets a path is among. */
export function scopeOf({ owner }: SecretPath): "tenant" | "user" {
  return owner === TENANT ? "tenant" : "user";
}

/** A secret as messages name it: `NAME`, or `provider/username/NAME`. */
export function pathText({ owner, name }: SecretPath): string {
  return owner === TENANT ? name : `${owner}/${name}`;
}

/** Everything that is wrong with one named value of a list; `path` leads to it. */
function namedSecretFaults(
  path: string,
  secret: { name: string; value: Sensitive<Buffer> },
  scope: SecretScope,
): FieldViolation[] {
  const [missing, broken] = valueFaults(secret.value);
  const text = isEnvironmentValue(secret.value) ? undefined : environmentFault(secret.name);
  return compact([
    [`${path}.name`, nameFault(secret.name, scope)],
    [`${path}.plaintext_value`, missing],
    [`${path}.name`, programStartFault(secret.name)],
    [`${path}.plaintext_value`, broken ?? text],
  ]);
}

/** Everything that is wrong with a list of named values, as callers are told of each place in it. */
export function namedSecretsFaults(
  secrets: readonly { name: string; value: Sensitive<Buffer> }[],
  scope: SecretScope,
): FieldViolation[] {
  const seen = new Set<string>();
  return secrets.flatMap((secret, index) => {
    const path = `secrets[${index}]`;
    const faults = namedSecretFaults(path, secret, scope);
    const isRepeated = seen.has(secret.name);
    seen.add(secret.name);
    const repeated = { field: `${path}.name`, description: "name is given twice" };
    return isRepeated ? [...faults, repeated] : faults;
  });
}

/** Whether a value can be a variable's: what is not UTF-8 text can only be a file. */
export function isEnvironmentValue(value: Sensitive<Buffer>): boolean {
  return isUtf8(value.expose());
}

/**
 * SHA-256 of an API key or agent token; undefined for any other value, so that by asking nobody can
 * guess a value that has fewer random bits.
 */
export function credentialHash(value: Sensitive<Buffer>): Buffer | undefined {
  return readCredentialValue(sensitive(value.expose().toString("latin1")));
}

/** Bytes of a value. */
export function sizeOf(value: Sensitive<Buffer>): number {
  return value.expose().length;
}

/** What a caller is told whose value cannot be a variable's. */
export function environmentFault(name: string): string {
  return `value of secret ${quoted(name)} is not UTF-8: it can only be delivered as a file`;
}

export function descriptionFault(description: string | undefined): string | undefined {
  if (description === undefined) return undefined;
  if (Buffer.byteLength(description) > MAX_DESCRIPTION_BYTES)
    return `description exceeds ${MAX_DESCRIPTION_BYTES} byte limit`;
  return description.includes("\0") ? "description must not hold a NUL character" : undefined;
}

export function requestIdFault(requestId: string): string | undefined {
  if (Buffer.byteLength(requestId) > MAX_REQUEST_ID_BYTES)
    return `request_id exceeds ${MAX_REQUEST_ID_BYTES} byte limit`;
  return requestId.includes("\0") ? "request_id must not hold a NUL character" : undefined;
}

/** What is wrong with an expected version or revision. */
export function countFault(field: string, count: bigint | undefined): string | undefined {
  return count !== undefined && count < 0n ? `${field} must not be negative` : undefined;
}

function deliveryFault(name: string, delivery: SecretWrite["delivery"]): string | undefined {
  if (delivery === "unknown") return "delivery is not a value that this service knows";
  // Its path would be in MURMUR_FILE, which is ours.
  if (delivery === "file" && name === "MURMUR")
    return 'secret name "MURMUR" is reserved (MURMUR_* is internal)';
  return undefined;
}

/** First whether there is a value, then whether it is one. */
function valueFaults(value: Sensitive<Buffer>): [string | undefined, string | undefined] {
  const bytes = value.expose();
  if (bytes.length === 0) return ["plaintext_value is required", undefined];
  if (bytes.length > MAX_VALUE_BYTES) return [undefined, "plaintext_value exceeds 64 KiB limit"];
  if (bytes.includes(0)) return [undefined, "plaintext_value must not hold a NUL byte"];
  return [undefined, undefined];
}

function compact(faults: [string, string | undefined][]): FieldViolation[] {
  return faults.flatMap(([field, description]) =>
    description === undefined ? [] : [{ field, description }],
  );
}
