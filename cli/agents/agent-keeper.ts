import { type CommandContext } from "../command";
import { isOnVm } from "../vm-side/is-on-vm";
import { type AgentKeeper } from "./agent-view";

/** The daemon's socket on a VM, the rotation service elsewhere. */
export async function openAgentKeeper(context: CommandContext): Promise<AgentKeeper> {
  if (isOnVm(context.terminal.env)) {
    const { createSocketAgentKeeper } = await import("../vm-side/socket-agent-keeper.js");
    return createSocketAgentKeeper(context.terminal.env);
  }
  const { createRotationAgentKeeper } = await import("./rotation-agent-keeper.js");
  return createRotationAgentKeeper(context);
}
