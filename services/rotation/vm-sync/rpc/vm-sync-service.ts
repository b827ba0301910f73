import type { VmSyncServiceService } from "../../../../gen/murmur/rotation/v1/vm_sync";
import { invalid, permissionDenied } from "../../../../lib/errors";
import type { CallContext } from "../../../../lib/grpc/context";
import type { HandlersOf } from "../../../../lib/grpc/definition";
import type { Log } from "../../../../lib/log";
import type { VmPrincipal } from "../../../../lib/identity/principal";
import type { LaunchableAgent } from "../../agents/domain/agent";
import { principalOf } from "../../agents/rpc/agent-service";
import { toDesiredState } from "../../announce/desired-state";
import type { VmHello } from "../domain/evidence";
import type { VmUpdate } from "../intake";
import type { VmStore } from "../store/evidence-store";
import { parseHello, parseUpdate } from "./parse";
import { watchVm, type WatchVmDeps } from "./watch-vm";

export interface VmSyncServiceDeps extends WatchVmDeps {
  vms: Pick<VmStore, "disconnect" | "listStatuses" | "desiredOfKnown" | "touch">;
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
      const said = request.update ?? { acks: [], agents: [] };
      const update = parseUpdate(
        { ...said, agents: [...request.hello.agents, ...said.agents] },
        hello.from,
      );
      const agents = await sync(deps, { hello, update }, context.log);
      const coming = deps.streams.takeForetold({ tenantId: vm.tenantId, vmId: vm.id }, agents);
      return { desired: toDesiredState(agents, true), coming: { agents: coming } };
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

/**
 * Takes in what a VM says and reads what it should have. A hello that says what is known, or what
 * the acks beside it have just said, needs not be recorded.
 */
async function sync(
  { intake, vms, agents, db, replicaId }: VmSyncServiceDeps,
  { hello, update }: { hello: VmHello; update: VmUpdate },
  log: Log,
): Promise<LaunchableAgent[]> {
  const hasNews = update.applied.length + update.failed.length + update.reports.length > 0;
  let known = await vms.desiredOfKnown(hello);
  if (hasNews && known !== "another life") {
    await intake.update(update);
    known = await vms.desiredOfKnown(hello);
  }
  if (typeof known === "string") {
    await intake.hello(hello, { replicaId, streamId: undefined });
    // Once more: a hello replaces what was believed before, and the update is what came after it.
    await intake.update(update);
    return agents.desiredOfVm(db, hello.from.tenantId, hello.from.vmId);
  }
  // Nobody waits for it; the next call says it again.
  vms.touch(hello.from).catch((error: unknown) => {
    log.debug("contact was not noted", { error });
  });
  return known;
}

function vmOf(context: CallContext): VmPrincipal {
  const principal = principalOf(context);
  if (principal.kind !== "vm") throw permissionDenied();
  return principal;
}
