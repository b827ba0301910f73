import { AgentsOf } from "../../gen/murmur/rotation/v1/bindings";
import { agentTable, agentToJson } from "../agents/views";
import { allPages } from "../all-pages";
import { type Invocation, type Run } from "../command";
import { UsageError } from "../errors";

export const run: Run = async (context, call) => {
  const { output, clock } = context;
  const { bindings } = await context.rotation();
  const wish = { agentsOf: readWhose(call), name: undefined };
  const found = await allPages(
    (page) => bindings.listBoundAgents({ ...wish, includeDeactivated: call.flag("all"), ...page }),
    (page) => page.agents,
  );
  if (call.flag("json")) output.json(found.map(agentToJson));
  else output.lines(agentTable(found, { now: clock.now(), bold: output.style.bold }));
};

function readWhose(call: Invocation): AgentsOf {
  const [unclaimed, everybody] = [call.flag("unclaimed"), call.flag("everybody")];
  if (unclaimed && everybody)
    throw new UsageError("--unclaimed and --everybody exclude each other");
  if (unclaimed) return AgentsOf.AGENTS_OF_NOBODY;
  return everybody ? AgentsOf.AGENTS_OF_EVERYBODY : AgentsOf.AGENTS_OF_UNSPECIFIED;
}
