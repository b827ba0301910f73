import type { VmSyncServiceService } from "../../../../gen/murmur/rotation/v1/vm_sync";
import { invalid, permissionDenied } from "../../../../lib/errors";
import type { CallContext } from "../../../../lib/grpc/context";
import type { HandlersOf } from "../../../../lib/grpc/definition";
import type { VmPrincipal } from "../../../../lib/identity/principal";
import { principalOf } from "../../agents/rpc/agent-service";
import { toDesiredState } from "../../announce/desired-state";
import type { VmStore } from "../store/evidence-store";
import { parseHello, parseReports, parseUpdate } from "./parse";
import { watchVm, type WatchVmDeps } from "./watch-vm";

export interface VmSyncServiceDeps extends WatchVmDeps {
  vms: Pick<VmStore, "disconnect" | "listStatuses">;
}

/** The handlers of VmSyncService. */
export function createVmSyncService(
  deps: VmSyncServiceDeps,
): HandlersOf<typeof VmSyncServiceService> {
  return {
    watchVm: (conversation, context) => watchVm(deps, conversation, vmOf(context), context),
    async syncVm(request, context) {
      const vm = vmOf(context);
      if (!request.hello) throw invalid("hello", "hello is required");
      const hello = parseHello(request.hello, vm);
      await deps.intake.hello(hello, { replicaId: deps.replicaId, streamId: undefined });
      const update = parseUpdate(request.update ?? { acks: [], agents: [] }, hello.from);
      const reports = [...parseReports(request.hello.agents, hello.from), ...update.reports];
      await deps.intake.update({ ...update, reports });
      const agents = await deps.agents.desiredOfVm(deps.db, vm.tenantId, vm.id);
      return { desired: toDesiredState(agents, true) };
    },
    async listVmStatuses(_request, context) {
      const vms = await deps.vms.listStatuses(principalOf(context).tenantId);
      return {
        vms: vms.map(({ vmId, name, lastSeenAt, connected, living, behind }) => ({
          vmId,
          vmName: name,
          lastSeenAt,
          connected,
          agentsLiving: living,
          agentsBehind: behind,
        })),
      };
    },
  };
}

function vmOf(context: CallContext): VmPrincipal {
  const principal = principalOf(context);
  if (principal.kind !== "vm") throw permissionDenied();
  return principal;
}
