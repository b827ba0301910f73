import type {
  ReleaseGenerationsRequest,
  ReleaseGenerationsResponse,
} from "../../../gen/murmur/catalog/v1/environments";
import { type FieldViolation, invalid, invalidFields } from "../../../lib/errors";
import type { UnaryHandler } from "../../../lib/grpc/context";
import { callerOf } from "../audit";
import { agentIdFault } from "../domain/agent-id";
import type { GenerationRelease, ReleaseStore } from "../store/release-store";

const MAX_RELEASES = 1_000;

/** Takes note of which generations are still needed. */
export function releaseGenerations(
  store: ReleaseStore,
): UnaryHandler<ReleaseGenerationsRequest, ReleaseGenerationsResponse> {
  return async ({ releases }, context) => {
    const wanted = releases.map(({ ended, ...release }) => ({ ...release, hasEnded: ended }));
    const faults = releaseFaults(wanted);
    if (faults.length > 0) throw invalidFields(faults);
    if (wanted.length > 0) await store.release(callerOf(context), wanted);
    return {};
  };
}

function releaseFaults(releases: readonly GenerationRelease[]): FieldViolation[] {
  if (releases.length > MAX_RELEASES)
    throw invalid("releases", `releases must be at most ${MAX_RELEASES}`);
  const seen = new Set<string>();
  return releases.flatMap(({ agentId, floor, confirmed }, index) => {
    const at = `releases[${index}]`;
    const idFault = seen.has(agentId) ? "agent_id is named twice" : agentIdFault(agentId);
    seen.add(agentId);
    return [
      ...(idFault === undefined ? [] : [{ field: `${at}.agent_id`, description: idFault }]),
      ...negative(`${at}.floor`, floor),
      ...negative(`${at}.confirmed`, confirmed),
    ];
  });
}

function negative(field: string, count: bigint): FieldViolation[] {
  return count < 0n ? [{ field, description: "a generation is not negative" }] : [];
}
