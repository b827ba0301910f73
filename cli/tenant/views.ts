import { type TenantDeletion, TenantDeletionStage } from "../../gen/murmur/rotation/v1/tenants";
import { relativeTime } from "../output/relative-time";

const STAGES: Readonly<Record<TenantDeletionStage, [word: string, text: string]>> = {
  [TenantDeletionStage.TENANT_DELETION_STAGE_UNSPECIFIED]: ["unknown", "not known"],
  [TenantDeletionStage.TENANT_DELETION_STAGE_ASKED]: [
    "asked",
    "asked for; credentials of the tenant still count",
  ],
  [TenantDeletionStage.TENANT_DELETION_STAGE_ENDING]: [
    "ending",
    "no credential counts any more; agents are being ended",
  ],
  [TenantDeletionStage.TENANT_DELETION_STAGE_PURGING]: ["purging", "everything is being removed"],
  [TenantDeletionStage.TENANT_DELETION_STAGE_DONE]: ["done", "nothing is left"],
  [TenantDeletionStage.UNRECOGNIZED]: ["unknown", "not known"],
};

/** Name and text of what there is to say, in order. */
export function deletionRows(deletion: TenantDeletion, now: Date): [string, string][] {
  const { tenantId, stage, requestedBy, requestedAt, purgeAfter, finishedAt } = deletion;
  const isOver = stage === TenantDeletionStage.TENANT_DELETION_STAGE_DONE;
  const isEnding = stage === TenantDeletionStage.TENANT_DELETION_STAGE_ENDING;
  const living = livingWords(deletion);
  return [
    ["tenant", tenantId],
    ["state", STAGES[stage][1]],
    ["asked for", `${relativeTime(requestedAt, now)} by ${requestedBy}`],
    ...(isEnding ? [row("removed from", relativeTime(purgeAfter, now))] : []),
    ...(isOver ? [row("removed", relativeTime(finishedAt, now))] : []),
    ...(living === undefined ? [] : [row("agents", living)]),
  ];
}

/** `2 still live, on vm-1, vm-2: …`; undefined: all have ended. */
function livingWords({ stage, agentsLiving, waitingVms }: TenantDeletion): string | undefined {
  if (agentsLiving === 0) return undefined;
  const on = waitingVms.join(", ");
  const isEnding = stage <= TenantDeletionStage.TENANT_DELETION_STAGE_ENDING;
  if (isEnding) return `${agentsLiving} not ended yet, on ${on}`;
  return `${agentsLiving} had not ended, on ${on}: a VM that was away ends them when it comes back`;
}

function row(name: string, text: string): [string, string] {
  return [name, text];
}

/** For machines. */
export function deletionToJson(deletion: TenantDeletion) {
  const { tenantId, stage, requestedBy, requestedAt, endedAt, purgeAfter, finishedAt } = deletion;
  return {
    ...{ tenant_id: tenantId, stage: STAGES[stage][0], requested_by: requestedBy },
    ...{ requested_at: requestedAt, ended_at: endedAt, purge_after: purgeAfter },
    ...{ finished_at: finishedAt, agents_living: deletion.agentsLiving },
    waiting_vms: deletion.waitingVms,
  };
}
