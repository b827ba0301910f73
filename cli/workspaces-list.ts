import { type Workspace } from "../gen/murmur/catalog/v1/workspaces";
import { allPages } from "./all-pages";
import { type CommandContext, type Invocation } from "./command";
import { relativeTime } from "./output/relative-time";
import { table } from "./output/table";

/** Prints the names, one a line; with `-l` a table, with `--json` all that is kept. */
export async function listWorkspaces(context: CommandContext, call: Invocation): Promise<void> {
  const { output, clock } = context;
  const { workspaces } = await context.catalog();
  const all = await allPages(workspaces.listWorkspaces, (page) => page.workspaces);
  if (call.flag("json")) output.json(all.map(workspaceToJson));
  else if (call.flag("long")) output.lines(workspaceTable(all, clock.now(), output.style.bold));
  else output.lines(all.map(({ name }) => name));
}

/** A workspace as JSON and YAML show it; without `secret_refs` its agents get all secrets. */
export function workspaceToJson(workspace: Workspace) {
  return {
    name: workspace.name,
    description: workspace.description,
    secret_refs: workspace.secretRefs?.names,
    vms: workspace.vms,
    created_at: workspace.createdAt,
    updated_at: workspace.updatedAt,
    updated_by: workspace.updatedBy,
    revision: workspace.revision,
  };
}

function workspaceTable(
  workspaces: Workspace[],
  now: Date,
  paintTitle: (text: string) => string,
): string[] {
  return table(
    workspaces,
    [
      { title: "NAME", text: ({ name }) => name },
      { title: "SECRETS", text: ({ secretRefs }) => secretRefs?.names.join(" ") ?? "(all)" },
      { title: "VMS", text: ({ vms }) => vms.join(" ") },
      { title: "UPDATED", text: ({ updatedAt }) => relativeTime(updatedAt, now) },
      { title: "DESCRIPTION", text: ({ description }) => description ?? "" },
    ],
    paintTitle,
  );
}
