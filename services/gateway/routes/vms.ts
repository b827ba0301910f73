import { VmServiceService } from "../../../gen/murmur/catalog/v1/vms";
import { VmSyncServiceService } from "../../../gen/murmur/rotation/v1/vm_sync";
import type { RouteKit } from "./rpc-route";
import type { Route } from "./route";

const tag = "vms";

/** The register of VMs, and how they are. */
export function vmRoutes({ rpc }: RouteKit): Route[] {
  return [
    rpc({
      ...{ method: "GET", path: "/v1/vms", tag, summary: "List VMs by name" },
      rpc: VmServiceService.listVms,
    }),
    rpc({
      ...{ method: "GET", path: "/v1/vm-statuses", tag },
      summary: "List which VMs are connected, and whose agents are behind",
      rpc: VmSyncServiceService.listVmStatuses,
    }),
    rpc({
      ...{ method: "POST", path: "/v1/vms/{name}/join-token", tag },
      summary: "Issue a token with which one machine may join under this name",
      rpc: VmServiceService.issueJoinToken,
      status: 201,
    }),
    rpc({
      ...{ method: "DELETE", path: "/v1/vms/{name}", tag, summary: "End a VM's rights at once" },
      rpc: VmServiceService.removeVm,
    }),
  ];
}
