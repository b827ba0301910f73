import { WorkspaceServiceService } from "../../../gen/murmur/catalog/v1/workspaces";
import type { RouteKit } from "./rpc-route";
import type { Route } from "./route";

const tag = "workspaces";

/** Named groups of agents that share a choice of secrets and machines. */
export function workspaceRoutes({ rpc }: RouteKit): Route[] {
  return [
    rpc({
      ...{ method: "GET", path: "/v1/workspaces", tag, summary: "List workspaces by name" },
      rpc: WorkspaceServiceService.listWorkspaces,
    }),
    rpc({
      ...{ method: "PUT", path: "/v1/workspaces/{name}", tag },
      summary: "Create a workspace, or replace its fields",
      rpc: WorkspaceServiceService.setWorkspace,
    }),
    rpc({
      ...{ method: "GET", path: "/v1/workspaces/{name}", tag, summary: "Show a workspace" },
      rpc: WorkspaceServiceService.getWorkspace,
    }),
    rpc({
      ...{ method: "DELETE", path: "/v1/workspaces/{name}", tag },
      summary: "Delete a workspace in which no agent lives",
      rpc: WorkspaceServiceService.deleteWorkspace,
    }),
  ];
}
