import { ErrorReason } from "../../../../gen/murmur/errors/v1/error_reason";
import { type AppError, notFound } from "../../../../lib/errors";
import { quoted } from "../../../../lib/quoted";

/** A person in a browser, without the value of their cookie. */
export interface Session {
  id: string;
  createdAt: Date;
  expiresAt: Date;
  /** When it was last found valid, to within half a minute; undefined: never. */
  lastUsedAt: Date | undefined;
  /** Undefined: it was made with an identity token. */
  apiKey: { id: string; label: string } | undefined;
  /** The network address that it was made from. */
  madeFrom: string;
  /** What that program called itself. */
  userAgent: string;
  /** Of the tenant, in the order in which they were made. */
  sequence: bigint;
}

/** For those that never were, those of others, and those that have ended. */
export function sessionNotFound(id: string): AppError {
  const reason = ErrorReason.ERROR_REASON_SESSION_NOT_FOUND;
  return notFound(reason, `no session ${quoted(id)}`, { session_id: id.slice(0, 256) });
}
