import { agentWords, findByEither, requireAgent } from "../agents/find-agent";
import { hashKey } from "../agents/provider-key";
import { readProviderKey } from "../agents/read-key";
import { agentToJson } from "../agents/views";
import { type Run } from "../command";
import { patient } from "../patient";

export const run: Run = async (context, call) => {
  const { bindings } = await context.rotation();
  const { agentId, name, claimed } = await findByEither({ bindings }, call.arg("agent"));
  const prove = async () => {
    const variables = ["MURMUR_CHECK_KEY", "MURMUR_NEW_KEY"] as const;
    const key = await readProviderKey(context, variables, "Provider API key of the agent");
    return hashKey(key, name).proof;
  };
  // One's own needs no proof, and nothing proves another account's.
  const request = { agentId, hashProof: claimed ? "" : await prove() };
  const agent = requireAgent(await patient(() => bindings.deactivateAgent(request)));
  if (call.flag("json")) {
    context.output.json(agentToJson(agent));
    return;
  }
  context.output.line(`Deactivated ${agentWords(agent)}`);
  context.output.note("Its key is free. What is recorded under its id stays.");
};
