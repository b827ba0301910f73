import type { PageQuery } from "../../../../lib/page";
import type { Tx } from "../../../../lib/postgres/db";
import type { Announcement } from "../../announce/announcement";
import type { AuditEntry, Caller } from "../../audit";
import type { Agent } from "../../agents/domain/agent";
import type { PlannedTarget, RekeyPlan, Snapshot } from "../domain/plan-rekey";
import type { NewCanary } from "./canary-store";
import type { ProcessesOfAgent, Rollout, RolloutKind, RolloutTarget } from "../domain/rollout";

/** What was named when a rollout was asked for. */
export interface RolloutSubject {
  /** The agent; undefined where many were selected. */
  agentId: string | undefined;
  /** Empty: all. */
  workspace: string;
  /** The agent's; empty where many were selected. */
  path: string;
  /** The secret whose holders were selected; empty: none. */
  secretName: string;
}

/** A rollout that is about to be written. */
export interface NewRollout {
  tenantId: string;
  id: string;
  requestHash: Buffer;
  kind: RolloutKind;
  /** Of a rollback: the rollout that it takes back. */
  rollsBack: string | undefined;
  subject: RolloutSubject;
  requestedBy: string;
  reason: string;
  warnings: readonly string[];
  /** Who comes first; absent: all come at once. */
  canary?: NewCanary | undefined;
}

/** What a rollout leaves for others to read. */
export interface ToldOfRollout {
  caller: Caller;
  audit: readonly AuditEntry[];
  announcements: readonly Announcement[];
}

/** Rollouts and their targets. */
export interface RolloutStore {
  find(tenantId: string, rolloutId: string): Promise<Rollout | undefined>;
  /** By path. */
  findTargets(tenantId: string, rolloutId: string): Promise<RolloutTarget[]>;
  /** Of the living agents that have a target, by path. */
  findProcesses(tenantId: string, rolloutId: string): Promise<ProcessesOfAgent[]>;
  /** What a rollback of it would take its targets back to, and what it named. */
  findSources(tenantId: string, rolloutId: string): Promise<RolloutSources | undefined>;
  /**
   * Of an agent whose latest target up to this generation is a rollback's: the generation whose pins
   * it was to get; undefined for any other.
   */
  rolledBackTo(tenantId: string, agentId: string, generation: bigint): Promise<bigint | undefined>;
  /** The digest of the request that made it. */
  requestHash(tenantId: string, rolloutId: string): Promise<Buffer | undefined>;
  /** Newest first; one row more than the page's limit when there are more. */
  list(query: RolloutListQuery): Promise<Rollout[]>;
  /**
   * Writes the rollout, its targets, the generations, desired of those whose it raises, and with
   * them what is told of it. Returns false, and writes nothing, when a rollout of this id is there
   * already.
   */
  open(tx: Tx, rollout: NewRollout, plan: RekeyPlan, told: ToldOfRollout): Promise<boolean>;
  /**
   * Open rollouts of an agent's ancestors, locked in the order of their ids, each with whether the
   * agent is in it.
   */
  lockOpenOf(tx: Tx, agent: Agent): Promise<{ id: string; agentIds: string[] }[]>;
  /** Gives an agent a generation, outside of a rekey; it joins these rollouts with it. */
  recordGeneration(tx: Tx, join: GivenGeneration): Promise<void>;
}

/** What a rollback starts from. */
export interface RolloutSources {
  subject: RolloutSubject;
  /** By agent: the generation that it had before; undefined when none is kept. */
  sources: ReadonlyMap<string, bigint | undefined>;
  /** By agent: the generation that the rollout gave it. */
  generations: ReadonlyMap<string, bigint>;
}

export interface GivenGeneration {
  snapshot: Snapshot;
  target: Omit<PlannedTarget, "rollbackSource">;
  rolloutIds: readonly string[];
}

export interface RolloutListQuery {
  tenantId: string;
  /** Absent: all. */
  workspace: string | undefined;
  page: PageQuery;
}
