import type {
  SetWorkspaceRequest,
  SetWorkspaceResponse,
} from "../../../gen/murmur/catalog/v1/workspaces";
import type { UnaryHandler } from "../../../lib/grpc/context";
import { callerOf } from "../audit";
import type { Workspaces } from "../workspaces/workspaces";
import { toWorkspaceMessage } from "./workspace-message";

/** Creates a workspace or replaces its fields. */
export function setWorkspace(
  workspaces: Workspaces,
): UnaryHandler<SetWorkspaceRequest, SetWorkspaceResponse> {
  return async (request, context) => {
    const { workspace, warnings } = await workspaces.set(callerOf(context), {
      name: request.name,
      description: request.description,
      secretRefs: request.secretRefs?.names,
      vms: request.vms,
      expectedRevision: request.expectedRevision,
    });
    return { workspace: toWorkspaceMessage(workspace), warnings };
  };
}
