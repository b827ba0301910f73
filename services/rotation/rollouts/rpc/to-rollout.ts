import {
  RolloutKind as RolloutKindMessage,
  RolloutState,
  TargetState as TargetStateMessage,
  type Rollout as RolloutMessage,
  type RolloutTarget as TargetMessage,
} from "../../../../gen/murmur/rotation/v1/rollouts";
import { toReloadMessage } from "../../agents/domain/agent-reload";
import { whyPending, type TargetState } from "../../protocol";
import {
  isOpen,
  pendingReasonText,
  type Rollout,
  type RolloutKind,
  type RolloutTarget,
} from "../domain/rollout";

const STATES: Record<TargetState, TargetStateMessage> = {
  pending: TargetStateMessage.TARGET_STATE_PENDING,
  applied: TargetStateMessage.TARGET_STATE_APPLIED,
  failed: TargetStateMessage.TARGET_STATE_FAILED,
  skipped: TargetStateMessage.TARGET_STATE_SKIPPED,
};

const KINDS: Record<RolloutKind, RolloutKindMessage> = {
  rekey: RolloutKindMessage.ROLLOUT_KIND_REKEY,
  rollback: RolloutKindMessage.ROLLOUT_KIND_ROLLBACK,
};

/** A rollout as the contract shows it. */
export function toRollout(rollout: Rollout): RolloutMessage {
  const { counts } = rollout;
  return {
    rolloutId: rollout.id,
    workspace: rollout.workspace,
    path: rollout.path,
    secretName: rollout.secretName,
    requestedBy: rollout.requestedBy,
    acceptedAt: rollout.acceptedAt,
    completedAt: rollout.completedAt,
    state: isOpen(counts) ? RolloutState.ROLLOUT_STATE_OPEN : RolloutState.ROLLOUT_STATE_COMPLETED,
    targetsTotal: counts.total,
    targetsApplied: counts.applied,
    targetsFailed: counts.failed,
    targetsSkipped: counts.skipped,
    reason: rollout.reason,
    unchanged: rollout.unchanged,
    kind: KINDS[rollout.kind],
    rollsBack: rollout.rollsBack ?? "",
    rolledBackBy: rollout.rolledBackBy ?? "",
  };
}

/** A target as the contract shows it, with what is known of why it is not settled. */
export function toTarget(target: RolloutTarget): TargetMessage {
  const { state, generation, desired, vm } = target;
  const isSettled = state === "applied" || state === "skipped";
  const why = isSettled ? undefined : whyPending({ generation, state }, { desired, vm: vm.state });
  return {
    agentId: target.agentId,
    path: target.path,
    vmName: target.vmName,
    generation,
    state: STATES[state],
    reason: why === undefined ? target.reason : pendingReasonText(why, target),
    ackedAt: target.ackedAt,
    omittedNames: [...target.omittedNames],
    reload: toReloadMessage(target.reload),
  };
}
