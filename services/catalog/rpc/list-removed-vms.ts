import type {
  ListRemovedVmsRequest,
  ListRemovedVmsResponse,
} from "../../../gen/murmur/catalog/v1/vms";
import type { UnaryHandler } from "../../../lib/grpc/context";
import type { VmStore } from "../vms/vm-store";

/** Lists removals of all tenants in the order of their commits. */
export function listRemovedVms(deps: {
  store: Pick<VmStore, "listRemovals">;
}): UnaryHandler<ListRemovedVmsRequest, ListRemovedVmsResponse> {
  return async ({ afterSequence }) => ({
    removed: await deps.store.listRemovals(afterSequence),
  });
}
