import { ErrorReason } from "../../../../gen/murmur/errors/v1/error_reason";
import {
  type AppError,
  alreadyExists,
  failedPrecondition,
  invalid,
  notFound,
  permissionDenied,
} from "../../../../lib/errors";
import { quoted } from "../../../../lib/quoted";

/** For those that never were and for those of other tenants. */
export function registeredAgentNotFound(id: string): AppError {
  const reason = ErrorReason.ERROR_REASON_REGISTERED_AGENT_NOT_FOUND;
  return notFound(reason, `no registered agent ${quoted(id)}`, { agent_id: id.slice(0, 256) });
}

/** `conflictAgentId`: which agent has the key, where the caller may know. */
export function keyAlreadyBound(conflictAgentId: string | undefined): AppError {
  return alreadyExists(
    ErrorReason.ERROR_REASON_KEY_ALREADY_BOUND,
    "new key is already bound to another agent",
    conflictAgentId === undefined ? {} : { conflict_agent_id: conflictAgentId },
  );
}

/** Of an unclaimed agent that somebody would have deactivated. */
export function agentHasHistory(id: string): AppError {
  return failedPrecondition(
    ErrorReason.ERROR_REASON_AGENT_HAS_HISTORY,
    "the agent is unclaimed and has history: claim it first, then deactivate it",
    { agent_id: id },
  );
}

/** The same whatever it differs in. */
export function proofRefused(): AppError {
  return permissionDenied("hash_proof does not prove the agent's key");
}

/** An unclaimed agent is for whoever has its key. */
export function proofMissing(): AppError {
  return invalid("hash_proof", "hash_proof is required: the agent is unclaimed");
}
