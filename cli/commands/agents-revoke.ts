import { type Run } from "../command";
import { patient } from "../patient";
import { agentByName } from "../self-rotation/agent-by-name";

export const run: Run = async (context, call) => {
  const rotation = await context.rotation();
  const { selfRotation } = rotation;
  const { agentId, name } = await agentByName(rotation, call.arg("name"));
  await patient(() => selfRotation.revokeAgent({ agentId }));
  context.output.line(`Revoked agent ${name}`);
};
