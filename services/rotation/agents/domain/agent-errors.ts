import { ErrorReason } from "../../../../gen/murmur/errors/v1/error_reason";
import { alreadyExists, failedPrecondition, notFound, type AppError } from "../../../../lib/errors";
import { quoted } from "../../../../lib/quoted";
import { skippedReason, type Agent } from "./agent";

/** The same for an agent that never was and for one that the caller may not know of. */
export function agentNotFound(path: string, workspace: string): AppError {
  return notFound(
    ErrorReason.ERROR_REASON_AGENT_NOT_FOUND,
    `no agent ${quoted(path)} in workspace ${quoted(workspace)}`,
    { slug: path.slice(0, 256), workspace: workspace.slice(0, 256) },
  );
}

/** For agents that are named by id. */
export function agentIdNotFound(agentId: string): AppError {
  const message = `no agent with the id ${quoted(agentId)}`;
  return notFound(ErrorReason.ERROR_REASON_AGENT_NOT_FOUND, message);
}

/** The agent is over, or on its way out. */
export function agentEnded(path: string, agent: Pick<Agent, "phase" | "killRequested">): AppError {
  const phase = skippedReason(agent);
  const message = `agent ${quoted(path)} is ${phase}`;
  return failedPrecondition(ErrorReason.ERROR_REASON_AGENT_ENDED, message, { slug: path, phase });
}

/** The record was not written so by this service: nothing is done for it. */
export function agentChanged({ id, path }: Pick<Agent, "id" | "path">): AppError {
  const message = `the record of agent ${quoted(path)} was changed by other hands`;
  return failedPrecondition(ErrorReason.ERROR_REASON_TAMPERED, message, { agent_id: id });
}

/** The id was used for another spawn. */
export function agentIdTaken(agentId: string): AppError {
  const message = `agent_id "${agentId}" was used for another agent`;
  return alreadyExists(ErrorReason.ERROR_REASON_AGENT_EXISTS, message);
}
