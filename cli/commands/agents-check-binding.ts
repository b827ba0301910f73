import { agentWords, findAgent } from "../agents/find-agent";
import { hashKey } from "../agents/provider-key";
import { readProviderKey } from "../agents/read-key";
import { type Run } from "../command";
import { LocalError } from "../errors";
import { printable } from "../output/printable";
import { patient } from "../patient";

export const run: Run = async (context, call) => {
  const { output } = context;
  const rotation = await context.rotation();
  const agent = await findAgent(rotation, call);
  const { agentId, name } = agent;
  const key = await readProviderKey(context, ["MURMUR_CHECK_KEY"], "Provider API key to check");
  const request = { agentId, keyHash: hashKey(key, name).hash };
  const { bound, keyPrefix } = await patient(() => rotation.bindings.verifyBinding(request));
  const shown = keyPrefix === "" ? "" : ` (${printable(keyPrefix)}…)`;
  if (call.flag("json"))
    output.json({ agent_id: agentId, name, bound, key_prefix: keyPrefix || undefined });
  else if (bound) output.line(`Bound: ${agentWords(agent)} has this key${shown}`);
  if (bound) return;
  throw new LocalError(
    `not bound: ${agentWords(agent)} has another key${shown}`,
    "Use murmur agents rebind to bind it to the key that it is to have.",
  );
};
