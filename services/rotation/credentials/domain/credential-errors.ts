import { ErrorReason } from "../../../../gen/murmur/errors/v1/error_reason";
import { type AppError, failedPrecondition, notFound } from "../../../../lib/errors";
import { quoted } from "../../../../lib/quoted";
import { type Credential, KIND_WORDS } from "./credential";

/** For those that never were, and for those that the caller may not see. */
export function credentialNotFound(id: string): AppError {
  const reason = ErrorReason.ERROR_REASON_CREDENTIAL_NOT_FOUND;
  return notFound(reason, `no API key or agent token ${quoted(id)}`, {
    credential_id: id.slice(0, 256),
  });
}

/** For one that cannot be rotated any more; `successor` is what came after it. */
export function credentialEnded(credential: Credential, successor?: Credential): AppError {
  const { id, kind, state, replacedBy } = credential;
  const name = `${KIND_WORDS[kind]} ${quoted(id)}`;
  const message = replacedBy
    ? `${name} was already replaced by ${quoted(replacedBy)}`
    : `${name} is ${state}`;
  return failedPrecondition(ErrorReason.ERROR_REASON_CREDENTIAL_ENDED, message, {
    ...{ credential_id: id, state },
    ...(replacedBy && { replaced_by: replacedBy }),
    ...(successor && { replaced_by_developer: successor.owner }),
  });
}
