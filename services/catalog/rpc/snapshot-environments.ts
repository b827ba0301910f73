import type {
  SnapshotEnvironmentsRequest,
  SnapshotEnvironmentsResponse,
} from "../../../gen/murmur/catalog/v1/environments";
import type { UnaryHandler } from "../../../lib/grpc/context";
import { callerOf } from "../audit";
import type { TakeSnapshots } from "../environments/snapshots";

/** Makes one new generation for each named agent, all or none. */
export function snapshotEnvironments(
  take: TakeSnapshots,
): UnaryHandler<SnapshotEnvironmentsRequest, SnapshotEnvironmentsResponse> {
  return async ({ agents, requestId }, context) => {
    const wanted = agents.map(({ rollbackToGeneration, ...agent }) => ({
      ...agent,
      rollbackTo: rollbackToGeneration,
    }));
    const snapshots = await take(callerOf(context), wanted, requestId);
    return {
      snapshots: snapshots.map(({ isUnchanged, ...snapshot }) => ({
        ...snapshot,
        unchanged: isUnchanged,
      })),
    };
  };
}
