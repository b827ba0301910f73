import type {
  DeleteWorkspaceRequest,
  DeleteWorkspaceResponse,
} from "../../../gen/murmur/catalog/v1/workspaces";
import type { UnaryHandler } from "../../../lib/grpc/context";
import { callerOf } from "../audit";
import type { Workspaces } from "../workspaces/workspaces";

/** Deletes a workspace. */
export function deleteWorkspace(
  workspaces: Workspaces,
): UnaryHandler<DeleteWorkspaceRequest, DeleteWorkspaceResponse> {
  return async ({ name }, context) => {
    await workspaces.delete(callerOf(context), name);
    return {};
  };
}
