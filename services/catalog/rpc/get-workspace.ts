import type {
  GetWorkspaceRequest,
  GetWorkspaceResponse,
} from "../../../gen/murmur/catalog/v1/workspaces";
import type { UnaryHandler } from "../../../lib/grpc/context";
import { callerOf } from "../audit";
import type { Workspaces } from "../workspaces/workspaces";
import { toWorkspaceMessage } from "./workspace-message";

/** Shows one workspace. */
export function getWorkspace(
  workspaces: Workspaces,
): UnaryHandler<GetWorkspaceRequest, GetWorkspaceResponse> {
  return async ({ name }, context) => {
    const workspace = await workspaces.get(callerOf(context).tenantId, name);
    return { workspace: toWorkspaceMessage(workspace) };
  };
}
