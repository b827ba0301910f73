import { openAgentKeeper } from "../agents/agent-keeper";
import { agentTable, agentToJson } from "../agents/agent-table";
import { type Run } from "../command";
import { printable } from "../output/printable";

export const run: Run = async (context, call) => {
  const { output } = context;
  const keeper = await openAgentKeeper(context);
  const agents = await keeper.list({
    workspace: call.text("workspace"),
    includeEnded: call.flag("all"),
  });
  if (call.flag("json")) output.json(agents.map(agentToJson));
  else if (call.flag("quiet")) output.lines(agents.map(({ path }) => printable(path)));
  else output.lines(agentTable(agents, output.style));
};
