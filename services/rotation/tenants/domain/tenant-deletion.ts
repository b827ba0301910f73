import { ErrorReason } from "../../../../gen/murmur/errors/v1/error_reason";
import { type AppError, conflict, notFound } from "../../../../lib/errors";

/**
 * asked → ending (no credential counts any more, agents are ended) → purging (all is removed) → done. Each
 * step may be taken twice, and by another replica than the one before.
 */
export type DeletionStage = "asked" | "ending" | "purging" | "done";

/** How far the deletion of a tenant is. */
export interface TenantDeletion {
  tenantId: string;
  stage: DeletionStage;
  requestedBy: string;
  requestedAt: Date;
  endedAt: Date | undefined;
  purgeAfter: Date | undefined;
  finishedAt: Date | undefined;
  /** That have not ended, or had not when removing began. */
  agentsLiving: number;
  /** Names of their VMs. */
  waitingVms: readonly string[];
}

export function deletionUnderWay(tenant: string): AppError {
  const reason = ErrorReason.ERROR_REASON_TENANT_DELETION_UNDER_WAY;
  return conflict(reason, "the tenant is being deleted by another call already", { tenant });
}

export function deletionNotFound(): AppError {
  const reason = ErrorReason.ERROR_REASON_TENANT_DELETION_NOT_FOUND;
  return notFound(reason, "no deletion of a tenant was asked for by that request id");
}
