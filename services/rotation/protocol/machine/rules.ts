import * as protocol from "..";

/**
 * The decisions that the machine is composed of: the functions that the services call. The
 * simulator's planted defects are machines with other ones.
 */
export const productionRules = {
  raiseDesired: protocol.raiseDesired<number>,
  shouldFetch: protocol.shouldFetch<number>,
  isAckCurrent: protocol.isAckCurrent,
  raiseApplied: protocol.raiseApplied<number>,
  acceptsGeneration: protocol.acceptsGeneration<number>,
  isHelloCurrent: protocol.isHelloCurrent,
  mergeHello: protocol.mergeHello<number>,
  agentsToForget: protocol.agentsToForget<number>,
  isOvertaken: protocol.isOvertaken<number>,
  joinsOpenRollouts: protocol.joinsOpenRollouts<{ id: string; agentIds: readonly string[] }>,
  targetsSatisfiedBy: protocol.targetsSatisfiedBy<number, protocol.Target<number>>,
  openingState: protocol.openingState<number>,
  snapshotSteps: protocol.SNAPSHOT_STEPS,
  lockOrder: protocol.lockOrder,
  rollbackPins: protocol.rollbackPins,
  rollbackSource: protocol.rollbackSource<number>,
  openRollbackSources: protocol.openRollbackSources<number>,
  releaseFloor: protocol.releaseFloor<number>,
  raiseFloor: protocol.raiseFloor<number>,
  fetchVerdict: protocol.fetchVerdict<number>,
  needsNewSnapshot: protocol.needsNewSnapshot<number>,
  isSnapshotExpired: protocol.isSnapshotExpired<number>,
  isSpawnLeaseOver: protocol.isSpawnLeaseOver,
  holdersOf: protocol.holdersOf,
  mayEndVersion: protocol.mayEndVersion,
  mayHaveChild: protocol.mayHaveChild,
};

export type Rules = typeof productionRules;
