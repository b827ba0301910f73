import { randomUUID } from "node:crypto";
import { type Run } from "../command";
import { PATIENCE_MS } from "../keys/kind";
import { patient } from "../patient";
import { agentByName, requireAgent } from "../self-rotation/agent-by-name";
import { agentToJson, printPair } from "../self-rotation/views";

export const run: Run = async (context, call) => {
  const { output } = context;
  const rotation = await context.rotation();
  const { selfRotation } = rotation;
  const { agentId } = await agentByName(rotation, call.arg("name"));
  // One random request id for all attempts: an answer that was lost is the same answer again.
  const request = { agentId, requestId: randomUUID() };
  const answer = await patient(() => selfRotation.rotateAgentCredentials(request), PATIENCE_MS);
  const agent = requireAgent(answer.agent);
  if (call.flag("json")) {
    const { apiKey: api_key, rotationSecret: rotation_secret } = answer;
    output.json({ api_key, rotation_secret, ...agentToJson(agent) });
    return;
  }
  printPair(output, answer);
  output.note(`Agent ${agent.name} has a new pair; the old one has ended.`);
  output.note("Both values are shown once: save them now.");
};
