import { ErrorReason } from "../../../../gen/murmur/errors/v1/error_reason";
import {
  alreadyExists,
  AppError,
  failedPrecondition,
  invalid,
  notFound,
} from "../../../../lib/errors";
import { quoted } from "../../../../lib/quoted";
import { type AttemptLimit, tooManyAttempts } from "../../limits/attempt-limit";

// The texts of the first five are interface (behaviour, section 8).

export function tooManyRotations(limit: AttemptLimit, retryAfterMs: number): AppError {
  return tooManyAttempts(limit, "Too many rotation attempts (max 3 per 15 minutes)", retryAfterMs);
}

export function rotationSecretMissing(): AppError {
  return invalid("rotation_secret", "rotationSecret not provided");
}

/** For a token that never was, one that was rotated away, and a wrong rotation secret. */
export function rotationRefused(): AppError {
  return new AppError({
    code: "UNAUTHENTICATED",
    reason: ErrorReason.ERROR_REASON_ROTATION_REFUSED,
    message: "Invalid API key or invalid rotation secret",
  });
}

const REVOKED = "Agent revoked, or no rotation secret configured";

export function cannotRotate(): AppError {
  return new AppError({
    code: "PERMISSION_DENIED",
    reason: ErrorReason.ERROR_REASON_REGISTERED_AGENT_REVOKED,
    message: REVOKED,
  });
}

/** For whoever manages the agent. */
export function agentRevoked({ id, name }: { id: string; name: string }): AppError {
  const reason = ErrorReason.ERROR_REASON_REGISTERED_AGENT_REVOKED;
  return failedPrecondition(reason, `agent ${quoted(name)} was revoked`, { agent: id });
}

/** For those that never were, and for those that the caller may not see. */
export function registeredAgentNotFound(idOrName: string): AppError {
  const reason = ErrorReason.ERROR_REASON_AGENT_NOT_REGISTERED;
  const metadata = { agent: idOrName.slice(0, 256) };
  return notFound(reason, `no registered agent ${quoted(idOrName)}`, metadata);
}

export function registeredAgentExists(name: string): AppError {
  const reason = ErrorReason.ERROR_REASON_REGISTERED_AGENT_EXISTS;
  return alreadyExists(reason, `a registered agent ${quoted(name)} is there already`, { name });
}

/** For what else may be done to an agent token (behaviour, section 7). */
export function rotatesItself({ id, name }: { id: string; name: string }): AppError {
  const how = `use \`murmur agents rotate ${name}\`, or POST /v1/agents/self/rotate-key as the agent`;
  const message = `the token of agent ${quoted(name)} rotates together with its rotation secret: ${how}`;
  const metadata = { agent_id: id, agent_name: name };
  return failedPrecondition(ErrorReason.ERROR_REASON_ROTATES_ITSELF, message, metadata);
}
