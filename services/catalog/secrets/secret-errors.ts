import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { AppError, conflict, failedPrecondition, notFound } from "../../../lib/errors";
import { quoted } from "../../../lib/quoted";
import { environmentFault, pathText, type SecretPath } from "../domain/secret";

const MAX_METADATA = 255;

export function secretNotFound(path: SecretPath): AppError {
  const name = pathText(path);
  const message = `secret ${quoted(name)} not found`;
  return notFound(ErrorReason.ERROR_REASON_SECRET_NOT_FOUND, message, {
    name: name.slice(0, MAX_METADATA),
  });
}

/** `version` is the one that stands, 0 when there is none. */
export function versionConflict(path: SecretPath, version: bigint): AppError {
  const name = pathText(path);
  const is = version === 0n ? "does not exist" : `is at version ${version}`;
  return conflict(
    ErrorReason.ERROR_REASON_SECRET_VERSION_CONFLICT,
    `secret ${quoted(name)} ${is}, not at the expected version`,
    { name: name.slice(0, MAX_METADATA), version: String(version) },
  );
}

/** The value is not text, and would be delivered as a variable. */
export function notForEnvironment(name: string): AppError {
  const description = environmentFault(name);
  return new AppError({
    code: "INVALID_ARGUMENT",
    reason: ErrorReason.ERROR_REASON_VALUE_NOT_ENVIRONMENT,
    message: description,
    metadata: { name },
    violations: [{ field: "plaintext_value", description }],
  });
}

/** NAME_FILE holds the path of a file-delivered NAME, so both cannot be secrets. */
export function variableTaken({ name }: { name: string }): AppError {
  const description = `secret ${quoted(name)} and another secret would both fill one variable: a file-delivered NAME fills NAME_FILE`;
  return new AppError({
    code: "INVALID_ARGUMENT",
    reason: ErrorReason.ERROR_REASON_INVALID_FIELD,
    message: description,
    metadata: { field: "name" },
    violations: [{ field: "name", description }],
  });
}

export function requestIdReused(requestId: string): AppError {
  const description = "request_id was used before with another request";
  return new AppError({
    code: "INVALID_ARGUMENT",
    reason: ErrorReason.ERROR_REASON_REQUEST_ID_REUSED,
    message: description,
    metadata: { request_id: requestId },
    violations: [{ field: "request_id", description }],
  });
}

export function versionNotFound(name: string, version: bigint): AppError {
  return notFound(
    ErrorReason.ERROR_REASON_SECRET_VERSION_NOT_FOUND,
    `version ${version} of secret ${quoted(name)} not found`,
    { name, version: String(version) },
  );
}

/** To destroy it would take it from who has it, or the secret its value. */
export function versionInUse(
  { name, version }: { name: string; version: bigint },
  { isCurrent, holders }: { isCurrent: boolean; holders: readonly unknown[] },
): AppError {
  const held = holders.length === 1 ? "1 agent holds it" : `${holders.length} agents hold it`;
  const why = isCurrent ? `it is the current one, and ${held}` : held;
  return failedPrecondition(
    ErrorReason.ERROR_REASON_SECRET_VERSION_IN_USE,
    `version ${version} of secret ${quoted(name)} is in use: ${why}`,
    { name, version: String(version), agents: String(holders.length) },
  );
}

/** To replace it would take another value from those who have the secret. */
export function carriesAnother(name: string): AppError {
  return failedPrecondition(
    ErrorReason.ERROR_REASON_SECRET_CARRIES_ANOTHER,
    `secret ${quoted(name)} does not have the credential as its current value`,
    { name },
  );
}

export function stagedNotFound(stagedId: string): AppError {
  return notFound(
    ErrorReason.ERROR_REASON_STAGED_CREDENTIAL_NOT_FOUND,
    `no credential is staged as ${quoted(stagedId)}`,
    { staged_id: stagedId },
  );
}
