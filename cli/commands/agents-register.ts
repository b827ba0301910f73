import { randomUUID } from "node:crypto";
import { type Run } from "../command";
import { PATIENCE_MS } from "../keys/kind";
import { patient } from "../patient";
import { requireAgent } from "../self-rotation/agent-by-name";
import { agentToJson, printPair } from "../self-rotation/views";

export const run: Run = async ({ rotation, output }, call) => {
  // One random request id for all attempts: an answer that was lost is the same answer again.
  const request = { name: call.arg("name"), invitation: "", requestId: randomUUID() };
  const { selfRotation } = await rotation();
  const answer = await patient(() => selfRotation.registerAgent(request), PATIENCE_MS);
  const agent = requireAgent(answer.agent);
  if (call.flag("json")) {
    const { apiKey: api_key, rotationSecret: rotation_secret } = answer;
    output.json({ api_key, rotation_secret, ...agentToJson(agent) });
    return;
  }
  printPair(output, answer);
  output.note(`Registered agent ${agent.name} (${agent.agentId}).`);
  output.note("Both values are shown once: save them now.");
};
