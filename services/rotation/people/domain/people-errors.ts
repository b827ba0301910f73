import { ErrorReason } from "../../../../gen/murmur/errors/v1/error_reason";
import { alreadyExists, type AppError, failedPrecondition, notFound } from "../../../../lib/errors";
import { quoted } from "../../../../lib/quoted";
import type { Person } from "./person";

/** For those who never were in the tenant, and for those who were removed. */
export function personNotFound(developer: string): AppError {
  const reason = ErrorReason.ERROR_REASON_PERSON_NOT_FOUND;
  return notFound(reason, `no person ${quoted(developer)} in the tenant`, { developer });
}

/** For one who is in the tenant with another role than they were to be added with. */
export function personExists({ developer, role }: Person): AppError {
  const message = `${quoted(developer)} is in the tenant already, as ${role}`;
  return alreadyExists(ErrorReason.ERROR_REASON_PERSON_EXISTS, message, { developer, role });
}

/** For the only owner, whose role would be taken away. */
export function lastOwner(developer: string): AppError {
  const message = `${quoted(developer)} is the last owner of the tenant`;
  return failedPrecondition(ErrorReason.ERROR_REASON_LAST_OWNER, message, { developer });
}
