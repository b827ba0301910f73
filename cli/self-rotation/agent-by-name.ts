import { type RegisteredAgent } from "../../gen/murmur/rotation/v1/self_rotation";
import { type Rotation } from "../connect-rotation";

/** What an answer has to bring. */
export function requireAgent(agent: RegisteredAgent | undefined): RegisteredAgent {
  if (!agent) throw new Error("the service answered without an agent");
  return agent;
}

/** The registered agent that has this name; throws REGISTERED_AGENT_NOT_FOUND. */
export async function agentByName(
  { selfRotation }: Pick<Rotation, "selfRotation">,
  name: string,
): Promise<RegisteredAgent> {
  const which = { $case: "name" as const, value: name };
  return requireAgent((await selfRotation.getRegisteredAgent({ which })).agent);
}
