import { openAgentKeeper } from "../agents/agent-keeper";
import { agentToJson } from "../agents/agent-table";
import { type Run } from "../command";
import { printable } from "../output/printable";

export const run: Run = async (context, call) => {
  const { output } = context;
  const path = call.arg("slug");
  const keeper = await openAgentKeeper(context);
  const agents = await keeper.kill(call.text("workspace"), path);
  if (call.flag("json")) {
    output.json(agents.map(agentToJson));
    return;
  }
  // On a VM a descendant may be named by the end of its path.
  const children = agents.filter((agent) => !`/${agent.path}`.endsWith(`/${path}`));
  for (const child of children) output.note(`ending child ${printable(child.path)}`);
  output.line(`Killed agent "${path}"`);
};
