import { permissionDenied } from "../../../lib/errors";
import { type Caller } from "./identify-caller";
import { type AdoptChildRequest, type LocalRequest, type SpawnChildRequest } from "./protocol";

/**
 * What the daemon does for the callers of its socket. Results are plain JSON objects, as protocol.ts
 * lists them; an AppError is told to the caller, anything else is a bug. The signal aborts when the
 * caller is gone, its time is up, or the server stops.
 */
export interface LocalHandlers {
  onSpawnChild(callerId: string, request: SpawnChildRequest, signal: AbortSignal): Promise<object>;
  /** A process that was started by other means becomes a child. */
  onAdoptChild(callerId: string, request: AdoptChildRequest, signal: AbortSignal): Promise<object>;
  onList(
    callerId: string,
    request: { includeEnded: boolean },
    signal: AbortSignal,
  ): Promise<object>;
  /** No path: the caller itself. */
  onStatus(
    callerId: string,
    request: { path: string | undefined },
    signal: AbortSignal,
  ): Promise<object>;
  onKill(callerId: string, request: { path: string }, signal: AbortSignal): Promise<object>;
  /** Base64 of what the caller's own set has under these names. */
  onGetValues(callerId: string, request: { names: readonly string[] }): Promise<object>;
  /** How the caller's programs are to be answered that ask for credentials of a host. */
  onGetSettings(callerId: string): Promise<object>;
  onDaemonStatus(signal: AbortSignal): Promise<object>;
}

/** Takes a request to its handler, if its kind of caller may make it. */
export function dispatch(
  handlers: LocalHandlers,
  caller: Caller,
  request: LocalRequest,
  signal: AbortSignal,
): Promise<object> {
  if (request.method === "ping" || request.method === "daemon-status") {
    if (caller.kind !== "operator") throw permissionDenied("only the daemon's user may ask this");
    return request.method === "ping" ? Promise.resolve({}) : handlers.onDaemonStatus(signal);
  }
  if (caller.kind !== "agent") throw permissionDenied("only an agent may ask this");
  switch (request.method) {
    case "spawn-child":
      return handlers.onSpawnChild(caller.agentId, request, signal);
    case "adopt-child":
      return handlers.onAdoptChild(caller.agentId, request, signal);
    case "list":
      return handlers.onList(caller.agentId, request, signal);
    case "status":
      return handlers.onStatus(caller.agentId, request, signal);
    case "kill":
      return handlers.onKill(caller.agentId, request, signal);
    case "get-values":
      return handlers.onGetValues(caller.agentId, request);
    case "get-settings":
      return handlers.onGetSettings(caller.agentId);
  }
}
