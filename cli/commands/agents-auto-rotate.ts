import { type Run } from "../command";
import { UsageError } from "../errors";
import { patient } from "../patient";
import { agentByName, requireAgent } from "../self-rotation/agent-by-name";
import { everyWords, parseEvery } from "../self-rotation/every";
import { agentToJson } from "../self-rotation/views";

export const run: Run = async (context, call) => {
  const { output } = context;
  const [every, isOff] = [call.text("every"), call.flag("off")];
  if ((every === undefined) !== isOff)
    throw new UsageError("--every or --off is required", "For example: --every 24h");
  const seconds = every === undefined ? 0 : parseEvery(every);
  const workspace = isOff ? "" : await context.requireWorkspace(call.text("workspace"));
  const wish = {
    every: { seconds: BigInt(seconds), nanos: 0 },
    ...{ workspace, path: call.text("agent") ?? "", dueAt: undefined },
    apiKeyName: call.text("key-name") ?? "",
    rotationSecretName: call.text("secret-name") ?? "",
  };
  const rotation = await context.rotation();
  const { selfRotation } = rotation;
  const { agentId } = await agentByName(rotation, call.arg("name"));
  const request = { agentId, autoRotation: isOff ? undefined : wish };
  const answer = await patient(() => selfRotation.setAutoRotation(request));
  const agent = requireAgent(answer.agent);
  if (call.flag("json")) {
    output.json(agentToJson(agent));
    return;
  }
  const { autoRotation: auto } = agent;
  if (!auto) output.line(`Nobody rotates for agent ${agent.name} any more`);
  else {
    output.line(`Agent ${agent.name} is rotated every ${everyWords(auto)}`);
    const names = `${auto.apiKeyName} and ${auto.rotationSecretName}`;
    output.note(
      `The VM of agent ${auto.path} in workspace ${auto.workspace} does it, and gives it ${names}; the first time now.`,
    );
  }
};
