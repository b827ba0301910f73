import type {
  SnapshotEnvironmentsRequest,
  SnapshotEnvironmentsResponse,
} from "../../../gen/murmur/catalog/v1/environments";
import type { UnaryHandler } from "../../../lib/grpc/context";
import { callerOf } from "../audit";
import type { TakeSnapshots } from "../environments/snapshots";
import type { DeliverAhead } from "./deliver-ahead";

export interface SnapshotEnvironmentsDeps {
  takeSnapshots: TakeSnapshots;
  deliverAhead: DeliverAhead;
}

const NOTHING = Buffer.alloc(0);

/** Makes one new generation for each named agent, all or none. */
export function snapshotEnvironments({
  takeSnapshots,
  deliverAhead,
}: SnapshotEnvironmentsDeps): UnaryHandler<
  SnapshotEnvironmentsRequest,
  SnapshotEnvironmentsResponse
> {
  return async ({ agents, requestId }, context) => {
    const wanted = agents.map(({ rollbackToGeneration, ...agent }) => ({
      ...agent,
      rollbackTo: rollbackToGeneration,
    }));
    const caller = callerOf(context);
    const snapshots = await takeSnapshots(caller, wanted, requestId);
    const made = snapshots.map(({ generation }, at) => {
      const { agentId = "", vmId = "" } = wanted[at] ?? {};
      return { agentId, vmId, generation };
    });
    const sealed = await deliverAhead(caller.tenantId, made, context);
    return {
      snapshots: snapshots.map(({ isUnchanged, ...snapshot }) => ({
        ...snapshot,
        unchanged: isUnchanged,
        sealedAhead: sealed.get(snapshot.agentId) ?? NOTHING,
      })),
    };
  };
}
