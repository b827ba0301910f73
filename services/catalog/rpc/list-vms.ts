import type { ListVmsRequest, ListVmsResponse } from "../../../gen/murmur/catalog/v1/vms";
import { dnsLabelFault } from "../../../lib/dns-label";
import { invalid } from "../../../lib/errors";
import type { UnaryHandler } from "../../../lib/grpc/context";
import { readPage, toPage } from "../../../lib/page";
import { callerOf } from "../audit";
import type { VmStore } from "../vms/vm-store";

const LIST = "vms";

/** Lists the caller's tenant's living VMs by name. */
export function listVms(deps: {
  store: Pick<VmStore, "list">;
}): UnaryHandler<ListVmsRequest, ListVmsResponse> {
  return async (request, context) => {
    const { name } = request;
    const fault = name === undefined ? undefined : dnsLabelFault("name", name);
    if (fault !== undefined) throw invalid("name", fault);
    const query = readPage(LIST, request);
    const wanted = { limit: query.limit + 1, after: query.after };
    const rows = await deps.store.list(callerOf(context).tenantId, wanted, name);
    const page = toPage(LIST, rows, query, (vm) => vm.name);
    return {
      vms: page.items.map(({ id, name: vmName, joinedAt, lastSeenAt }) => {
        return { vmId: id, name: vmName, joinedAt, lastSeenAt };
      }),
      nextPageToken: page.nextPageToken,
    };
  };
}
