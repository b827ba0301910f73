import {
  CanaryStage as CanaryStageMessage,
  RolloutKind as RolloutKindMessage,
  RolloutState,
  TargetState as TargetStateMessage,
  type Canary as CanaryMessage,
  type Rollout as RolloutMessage,
  type RolloutTarget as TargetMessage,
} from "../../../../gen/murmur/rotation/v1/rollouts";
import { toReloadMessage } from "../../agents/domain/agent-reload";
import { whyPending, type TargetState } from "../../protocol";
import type { Canary, CanaryStage } from "../domain/canary";
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
    canary: rollout.canary && toCanary(rollout.canary),
    requestedBy: rollout.requestedBy,
    acceptedAt: rollout.acceptedAt,
    completedAt: rollout.completedAt,
    state: isOpen(rollout) ? RolloutState.ROLLOUT_STATE_OPEN : RolloutState.ROLLOUT_STATE_COMPLETED,
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

const STAGES: Record<CanaryStage, CanaryStageMessage> = {
  canary: CanaryStageMessage.CANARY_STAGE_CANARY,
  waiting: CanaryStageMessage.CANARY_STAGE_WAITING,
  following: CanaryStageMessage.CANARY_STAGE_FOLLOWING,
  "rolling-back": CanaryStageMessage.CANARY_STAGE_ROLLING_BACK,
  passed: CanaryStageMessage.CANARY_STAGE_PASSED,
  "rolled-back": CanaryStageMessage.CANARY_STAGE_ROLLED_BACK,
  stopped: CanaryStageMessage.CANARY_STAGE_STOPPED,
};

function toCanary({ stage, agents, waiting, stageUntil, reason }: Canary): CanaryMessage {
  return { stage: STAGES[stage], agents, agentsWaiting: waiting, stageUntil, reason };
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
