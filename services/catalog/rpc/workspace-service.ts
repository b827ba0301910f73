import type { WorkspaceServiceService } from "../../../gen/murmur/catalog/v1/workspaces";
import type { HandlersOf } from "../../../lib/grpc/definition";
import type { Workspaces } from "../workspaces/workspaces";
import { deleteWorkspace } from "./delete-workspace";
import { getWorkspace } from "./get-workspace";
import { listWorkspaces } from "./list-workspaces";
import { setWorkspace } from "./set-workspace";

/** The handlers of WorkspaceService. */
export function createWorkspaceService(
  workspaces: Workspaces,
): HandlersOf<typeof WorkspaceServiceService> {
  return {
    setWorkspace: setWorkspace(workspaces),
    getWorkspace: getWorkspace(workspaces),
    listWorkspaces: listWorkspaces(workspaces),
    deleteWorkspace: deleteWorkspace(workspaces),
  };
}
