import {
  type TenantDeletion as DeletionMessage,
  TenantDeletionStage,
  type TenantServiceService,
} from "../../../../gen/murmur/rotation/v1/tenants";
import { invalid } from "../../../../lib/errors";
import type { HandlersOf } from "../../../../lib/grpc/definition";
import { type Sensitive, sensitive } from "../../../../lib/sensitive";
import { callerOf } from "../../audit";
import { deleteTenant, type DeleteTenantDeps, findDeletion } from "../delete-tenant";
import type { DeletionStage, TenantDeletion } from "../domain/tenant-deletion";

const STAGES: Record<DeletionStage, TenantDeletionStage> = {
  asked: TenantDeletionStage.TENANT_DELETION_STAGE_ASKED,
  ending: TenantDeletionStage.TENANT_DELETION_STAGE_ENDING,
  purging: TenantDeletionStage.TENANT_DELETION_STAGE_PURGING,
  done: TenantDeletionStage.TENANT_DELETION_STAGE_DONE,
};

/** The handlers of TenantService. */
export function createTenantService(
  deps: DeleteTenantDeps,
): HandlersOf<typeof TenantServiceService> {
  return {
    async deleteTenant({ confirmTenant, requestId }, context) {
      const wish = { confirmTenant, requestId: readRequestId(requestId) };
      return { deletion: toMessage(await deleteTenant(deps, callerOf(context), wish)) };
    },
    async getTenantDeletion({ requestId }) {
      return { deletion: toMessage(await findDeletion(deps, readRequestId(requestId))) };
    },
  };
}

/** It is what a deletion is asked for by: none cannot be. */
function readRequestId(requestId: string): Sensitive<string> {
  if (requestId === "") throw invalid("request_id", "request_id is required");
  return sensitive(requestId);
}

function toMessage(deletion: TenantDeletion): DeletionMessage {
  const { stage, waitingVms, ...same } = deletion;
  return { ...same, stage: STAGES[stage], waitingVms: [...waitingVms] };
}
