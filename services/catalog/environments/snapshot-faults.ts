import { type FieldViolation, invalid } from "../../../lib/errors";
import { agentIdFault } from "../domain/agent-id";
import { requestIdFault } from "../domain/secret";
import type { AgentToSnapshot } from "./compose-snapshot";

const MAX_AGENTS = 1_000;

/** Everything that is wrong with a call for snapshots; too many or no agents are refused at once. */
export function snapshotFaults(
  agents: readonly AgentToSnapshot[],
  requestId: string,
): FieldViolation[] {
  if (agents.length === 0 || agents.length > MAX_AGENTS)
    throw invalid("agents", `agents must be from 1 to ${MAX_AGENTS}`);
  const seen = new Set<string>();
  const faults: [string, string | undefined][] = agents.flatMap((agent, index) => {
    const { agentId, rollbackTo, vmId } = agent;
    const isRepeated = seen.has(agentId);
    seen.add(agentId);
    const at = `agents[${index}]`;
    return [
      [`${at}.agent_id`, agentIdFault(agentId)],
      [`${at}.agent_id`, isRepeated ? "agent_id is named twice" : undefined],
      [`${at}.vm_id`, vmId === "" || vmId.includes("\0") ? "vm_id is required" : undefined],
      [`${at}.workspace`, agent.workspace === "" ? "workspace is required" : undefined],
      [`${at}.workspace`, agent.workspace.includes("\0") ? "workspace is no name" : undefined],
      [`${at}.developer`, agent.developer.includes("\0") ? "developer is no name" : undefined],
      [
        `${at}.rollback_to_generation`,
        rollbackTo !== undefined && rollbackTo < 1n ? "generations start at 1" : undefined,
      ],
    ];
  });
  faults.push(["request_id", requestIdFault(requestId)]);
  return faults.flatMap(([field, text]) =>
    text === undefined ? [] : [{ field, description: text }],
  );
}
