import { agentWords, getAgent, requireAgent } from "../agents/find-agent";
import { hashKey } from "../agents/provider-key";
import { readProviderKey } from "../agents/read-key";
import { agentToJson } from "../agents/views";
import { type Run } from "../command";
import { patient } from "../patient";

export const run: Run = async (context, call) => {
  const { bindings } = await context.rotation();
  const { agentId, name } = await getAgent({ bindings }, call.arg("id"));
  const variables = ["MURMUR_CHECK_KEY", "MURMUR_NEW_KEY"] as const;
  const key = await readProviderKey(context, variables, "Provider API key of the agent");
  const request = { agentId, hashProof: hashKey(key, name).proof };
  const agent = requireAgent(await patient(() => bindings.claimAgent(request)));
  if (call.flag("json")) context.output.json(agentToJson(agent));
  else context.output.line(`Claimed ${agentWords(agent)}`);
};
