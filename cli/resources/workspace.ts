import { patient } from "../patient";
import { listWorkspaces, workspaceToJson } from "../workspaces-list";
import { type Resource } from "./resource";

export const workspaceResource: Resource = {
  list: listWorkspaces,
  async get(context, name) {
    const { workspaces } = await context.catalog();
    const { workspace } = await patient(() => workspaces.getWorkspace({ name }));
    return workspace ? workspaceToJson(workspace) : {};
  },
  async set(context, name, read) {
    const names = read.texts("secret_refs");
    const request = {
      name,
      description: read.text("description"),
      secretRefs: names && { names },
      vms: read.texts("vms") ?? [],
      expectedRevision: read.count("expected_revision"),
    };
    read.refuseOthers(["created_at", "updated_at", "updated_by", "revision"]);
    const { workspaces } = await context.catalog();
    const { warnings } = await patient(() => workspaces.setWorkspace(request));
    for (const warning of warnings) context.output.warn(warning);
  },
  async remove(context, name) {
    const { workspaces } = await context.catalog();
    await workspaces.deleteWorkspace({ name });
  },
};
