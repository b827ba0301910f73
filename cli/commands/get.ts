import { stringify } from "yaml";
import { type CommandContext, type Invocation, type Run } from "../command";
import { parseKind } from "../kind";
import { printable } from "../output/printable";
import { patient } from "../patient";
import { listSecrets, secretToJson } from "../secrets-list";
import { listWorkspaces, workspaceToJson } from "../workspaces-list";

export const run: Run = async (context, call) => {
  const kind = parseKind(call.arg("kind"));
  const name = call.arg("name");
  if (name === "") await { secret: listSecrets, workspace: listWorkspaces }[kind](context, call);
  else
    show(context, call, await { secret: getSecret, workspace: getWorkspace }[kind](context, name));
};

async function getSecret(context: CommandContext, name: string): Promise<object> {
  const { secrets } = await context.catalog();
  const { secret } = await patient(() => secrets.getSecret({ name }));
  return secret ? secretToJson(secret) : {};
}

async function getWorkspace(context: CommandContext, name: string): Promise<object> {
  const { workspaces } = await context.catalog();
  const { workspace } = await patient(() => workspaces.getWorkspace({ name }));
  return workspace ? workspaceToJson(workspace) : {};
}

/** YAML that `murmur set` takes back: what is read-only it ignores. */
function show({ output }: CommandContext, call: Invocation, resource: object): void {
  if (call.flag("json")) output.json(resource);
  else output.lines(toYaml(resource).map(printable));
}

function toYaml(resource: object): string[] {
  return stringify(resource, { lineWidth: 0, keepUndefined: false }).trimEnd().split("\n");
}
