import { openAgentKeeper } from "../agents/agent-keeper";
import { type Run } from "../command";
import { readSpawnVariables } from "../input/spawn-variables";
import { printable } from "../output/printable";

export const run: Run = async (context, call) => {
  const { output, terminal } = context;
  const given = { texts: call.list("env"), files: call.list("env-file") };
  const variables = await readSpawnVariables(terminal, given);
  const keeper = await openAgentKeeper(context);
  const { agentId, path, vm, warnings } = await keeper.spawn({
    slug: call.arg("slug"),
    vm: call.text("vm"),
    workspace: call.text("workspace"),
    variables,
    command: call.rest,
    workingDirectory: call.text("cwd"),
  });
  for (const warning of warnings) output.warn(warning);
  const where = vm === undefined ? "" : ` on VM "${vm}"`;
  if (call.flag("json")) output.json({ agent_id: agentId, path, vm });
  else output.line(printable(`Spawned agent "${path}"${where}`));
};
