import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { AppError, failedPrecondition } from "../../../lib/errors";
import { quoted } from "../../../lib/quoted";
import type { SizeFault } from "../domain/environment-set";

/** Who a snapshot is for, as errors name it. */
export interface NamedAgent {
  agentId: string;
  /** The full path, `parent/child`. */
  path: string;
}

const MAX_METADATA = 255;

export function environmentTooLarge({ path }: NamedAgent, fault: SizeFault): AppError {
  const largest = fault.largest.join(", ");
  return failedPrecondition(
    ErrorReason.ERROR_REASON_ENVIRONMENT_TOO_LARGE,
    `environment of agent ${quoted(path)} ${fault.text}; largest: ${largest}`,
    {
      agent: path.slice(0, MAX_METADATA),
      bytes: String(fault.bytes),
      names: String(fault.names),
      largest,
    },
  );
}

export function vmRemoved({ path }: NamedAgent, vmId: string): AppError {
  return failedPrecondition(
    ErrorReason.ERROR_REASON_VM_REMOVED,
    `the VM of agent ${quoted(path)} is not registered any more`,
    { vm: vmId.slice(0, MAX_METADATA) },
  );
}

export function agentEnded({ agentId, path }: NamedAgent): AppError {
  return failedPrecondition(ErrorReason.ERROR_REASON_AGENT_ENDED, `agent ${quoted(path)} is over`, {
    agent_id: agentId,
  });
}

export function nothingToRollBack({ agentId, path }: NamedAgent): AppError {
  return failedPrecondition(
    ErrorReason.ERROR_REASON_NOTHING_TO_ROLL_BACK,
    `agent ${quoted(path)} has no earlier generation to go back to`,
    { agent_id: agentId },
  );
}

export function generationNotAvailable(
  { agentId, path }: NamedAgent,
  generation: bigint,
): AppError {
  return failedPrecondition(
    ErrorReason.ERROR_REASON_GENERATION_NOT_AVAILABLE,
    `generation ${generation} of agent ${quoted(path)} is not kept any more`,
    { agent_id: agentId },
  );
}

/** Spawn-time secrets wait that the agent's spawner did not store: nothing is made of them. */
export function foreignSpawnSecrets({ agentId, path }: NamedAgent): AppError {
  return failedPrecondition(
    ErrorReason.ERROR_REASON_TAMPERED,
    `spawn-time secrets of agent ${quoted(path)} were stored by somebody else`,
    { agent_id: agentId },
  );
}

/** They were stored and are not there any more: an agent without them is not what was asked for. */
export function spawnSecretsGone({ agentId, path }: NamedAgent): AppError {
  return failedPrecondition(
    ErrorReason.ERROR_REASON_SPAWN_SECRETS_GONE,
    `spawn-time secrets of agent ${quoted(path)} are gone: spawn it again`,
    { agent_id: agentId },
  );
}

/** The database was changed by other hands: nothing is made of it. */
export function tampered(agentId: string, cause?: unknown): AppError {
  return new AppError({
    code: "FAILED_PRECONDITION",
    reason: ErrorReason.ERROR_REASON_TAMPERED,
    message: "a stored row fails its MAC: the database was changed by other hands",
    metadata: { agent_id: agentId },
    cause,
  });
}
