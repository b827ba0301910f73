import type {
  ListWorkspacesRequest,
  ListWorkspacesResponse,
} from "../../../gen/murmur/catalog/v1/workspaces";
import type { UnaryHandler } from "../../../lib/grpc/context";
import { callerOf } from "../audit";
import type { Workspaces } from "../workspaces/workspaces";
import { toWorkspaceMessage } from "./workspace-message";

/** Lists workspaces by name. */
export function listWorkspaces(
  workspaces: Workspaces,
): UnaryHandler<ListWorkspacesRequest, ListWorkspacesResponse> {
  return async (request, context) => {
    const { items, nextPageToken } = await workspaces.list(callerOf(context).tenantId, request);
    return { workspaces: items.map(toWorkspaceMessage), nextPageToken };
  };
}
