import type { RemoveVmRequest, RemoveVmResponse } from "../../../gen/murmur/catalog/v1/vms";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { dnsLabelFault } from "../../../lib/dns-label";
import { invalid, notFound } from "../../../lib/errors";
import type { UnaryHandler } from "../../../lib/grpc/context";
import { callerOf } from "../audit";
import type { VmStore } from "../vms/vm-store";

/**
 * Ends a VM's rights. Every replica asks the database in each call of a VM, so nothing has to be
 * told to them: once this returns, no later call is answered.
 */
export function removeVm(deps: {
  store: Pick<VmStore, "remove">;
}): UnaryHandler<RemoveVmRequest, RemoveVmResponse> {
  return async ({ name }, context) => {
    const fault = dnsLabelFault("name", name);
    if (fault !== undefined) throw invalid("name", fault);
    const vmId = await deps.store.remove(callerOf(context), name);
    if (vmId === undefined)
      throw notFound(ErrorReason.ERROR_REASON_VM_NOT_FOUND, `VM "${name}" not found`, {
        vm: name,
      });
    return { vmId };
  };
}
