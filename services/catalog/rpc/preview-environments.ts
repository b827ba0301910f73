import type {
  PreviewEnvironmentsRequest,
  PreviewEnvironmentsResponse,
} from "../../../gen/murmur/catalog/v1/environments";
import { type FieldViolation, invalidFields } from "../../../lib/errors";
import type { UnaryHandler } from "../../../lib/grpc/context";
import { callerOf } from "../audit";
import type { AgentToPreview, PreviewEnvironments } from "../environments/previews";
import { snapshotFaults } from "../environments/snapshot-faults";

/** Tells what a snapshot would change for each agent. */
export function previewEnvironments(
  preview: PreviewEnvironments,
): UnaryHandler<PreviewEnvironmentsRequest, PreviewEnvironmentsResponse> {
  return async ({ agents }, context) => {
    const wanted = agents.flatMap(toWanted);
    const faults = [
      ...agents.flatMap(({ agent }, index) => (agent ? [] : [absent(index)])),
      ...snapshotFaults(
        wanted.map(({ agent }) => agent),
        "",
      ),
    ];
    if (faults.length > 0) throw invalidFields(faults);
    const previews = await preview(callerOf(context).tenantId, wanted);
    return { previews: previews.map((it) => ({ ...it, missingNames: [...it.missingNames] })) };
  };
}

function toWanted({
  agent,
  fromGeneration,
}: PreviewEnvironmentsRequest["agents"][number]): AgentToPreview[] {
  return agent ? [{ agent: { ...agent, rollbackTo: undefined }, fromGeneration }] : [];
}

function absent(index: number): FieldViolation {
  return { field: `agents[${index}].agent`, description: "agent is required" };
}
