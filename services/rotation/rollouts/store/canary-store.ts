import type { Db, Tx } from "../../../../lib/postgres/db";
import type { CanaryState, OpenCanaryStage, OverCanaryStage } from "../domain/canary";
import type { RekeyPlan } from "../domain/plan-rekey";
import type { ToldOfRollout } from "./rollout-store";

/** The canaries of a rollout that is about to be written. */
export interface NewCanary {
  agentIds: readonly string[];
  waitingIds: readonly string[];
  hasHealth: boolean;
  thenWaitMs: number;
  /** How long the canaries have to be on their generation and well. */
  withinMs: number;
}

/** Names a rollout. */
export interface CanaryRef {
  tenantId: string;
  rolloutId: string;
}

/** A rollout with canaries that this caller looks after now. */
export interface HeldCanary extends CanaryRef, CanaryState {
  waitingIds: readonly string[];
  thenWaitMs: number;
  /** Who asked for the rollout. */
  requestedBy: string;
}

/** Rollouts that begin with a few agents. */
export interface CanaryStore {
  insert(tx: Tx, ref: CanaryRef, canary: NewCanary): Promise<void>;
  /** Some that are due; nobody else gets them for `holdMs`, or until `letGo`. */
  claim(db: Db, limit: number, holdMs: number): Promise<HeldCanary[]>;
  letGo(db: Db, ref: CanaryRef, forMs: number): Promise<void>;
  /** Enters a stage that ends in `forMs`, if it is in `from` still. */
  enter(db: Db, ref: CanaryRef, change: StageChange<OpenCanaryStage>): Promise<boolean>;
  /** Ends it and lets its rollout be completed, if it is in `from` still. */
  end(tx: Tx, ref: CanaryRef, change: StageChange<OverCanaryStage>): Promise<boolean>;
  /**
   * Adds targets to its rollout, with what `RolloutStore.open` writes beside, and takes these agents
   * from those who wait. Returns false, and writes nothing, when one of them waits no longer.
   */
  follow(tx: Tx, ref: CanaryRef, followers: Followers, told: ToldOfRollout): Promise<boolean>;
}

export interface StageChange<Stage> {
  from: OpenCanaryStage;
  to: Stage;
  reason: string;
  forMs: number;
}

export interface Followers {
  ids: readonly string[];
  plan: RekeyPlan;
}
