import type { Workspace as WorkspaceMessage } from "../../../gen/murmur/catalog/v1/workspaces";
import type { Workspace } from "../domain/workspace";

/** A workspace as callers see it. */
export function toWorkspaceMessage(workspace: Workspace): WorkspaceMessage {
  const { secretRefs, vms, ...rest } = workspace;
  return { ...rest, secretRefs: secretRefs && { names: [...secretRefs] }, vms: [...vms] };
}
