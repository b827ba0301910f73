import type { AgentSettings } from "../../../../gen/murmur/rotation/v1/agents";
import type { PageQuery } from "../../../../lib/page";
import type { Db, Tx } from "../../../../lib/postgres/db";
import type { Agent, ExitStatus, LaunchableAgent } from "../domain/agent";
import type { AgentProcess } from "../domain/agent-process";

/** An agent and all below it: every living one, and of the ended ones the latest hundred. */
export interface AgentTree {
  agent: Agent;
  /** By path. */
  descendants: Agent[];
}

/** Reads about agents. */
export interface AgentStore {
  find(tenantId: string, agentId: string): Promise<Agent | undefined>;
  /** By workspace, path and id, of those that are there. */
  findAll(tenantId: string, agentIds: readonly string[]): Promise<Agent[]>;
  /**
   * Living ones by workspace, path and id: of a workspace or of all, and of `under` only these and
   * those below them. One more than the limit when there are more.
   */
  findLiving(query: LivingQuery): Promise<Agent[]>;
  /** By path the living one is meant, else the latest. */
  findTree(tenantId: string, workspace: string, path: string): Promise<AgentTree | undefined>;
  findProcesses(tenantId: string, agentId: string): Promise<AgentProcess[]>;
  /** By workspace, path and id; one row more than the page's limit when there are more. */
  list(query: AgentListQuery): Promise<Agent[]>;
  /** Of living agents: what they have, and what their processes say; pages as in `list`. */
  listEvidence(query: EvidenceQuery): Promise<AgentEvidence[]>;
  /** How many living agents each of these VMs has. */
  countLiving(tenantId: string, vmIds: readonly string[]): Promise<Map<string, number>>;
  /** What one VM should have: its living agents that have a generation. */
  desiredOfVm(db: Db, tenantId: string, vmId: string): Promise<LaunchableAgent[]>;
  /** The same for named agents, on whichever VM, ended ones included. */
  desiredOf(tenantIds: readonly string[], agentIds: readonly string[]): Promise<LaunchableAgent[]>;
  /** Agents that were accepted before this and have no generation yet, but for those with these keys. */
  findWithoutGeneration(before: Date, limit: number, not: readonly string[]): Promise<Agent[]>;
  /**
   * Living agents whose desired generation their VM could not get, for this reason, but for those
   * with these keys; the tenants by turns.
   */
  findRefused(reason: string, limit: number, not: readonly string[]): Promise<Agent[]>;
}

export interface LivingQuery {
  tenantId: string;
  /** Absent: all. */
  workspace: string | undefined;
  /** Absent: all. */
  under: readonly string[] | undefined;
  limit: number;
}

/** Which living agents, and which page. */
export type EvidenceQuery = Omit<AgentListQuery, "vmId" | "includeEnded">;

/** What an agent has, as far as it is known. */
export interface AgentEvidence {
  agent: Agent;
  processes: readonly AgentProcess[];
  /** Those after the one that its VM acked, up to the desired one: its VM may be on any of them. */
  coming: readonly bigint[];
}

/** Names an agent among those of all tenants. */
export function agentKey({ tenantId, id }: Pick<Agent, "tenantId" | "id">): string {
  return `${tenantId}/${id}`;
}

export interface AgentListQuery {
  tenantId: string;
  /** Absent: all. */
  workspace: string | undefined;
  /** Absent: on all. */
  vmId: string | undefined;
  includeEnded: boolean;
  page: PageQuery;
}

export interface NewAgent {
  tenantId: string;
  id: string;
  workspace: string;
  slug: string;
  path: string;
  parent: Agent | undefined;
  vmId: string;
  vmName: string;
  developer: string;
  command: readonly string[];
  workingDirectory: string;
  settings: AgentSettings | undefined;
  requestHash: Buffer;
  expectsSpawnSecrets: boolean;
  binding: Buffer;
  launchMac: Buffer;
}

/** Changes of agents; each takes the transaction that it is part of. */
export interface AgentWriter {
  /** Holds the tree as it is: `for share` while it grows, `for update` while it is rekeyed or killed. */
  lockTree(tx: Tx, tenantId: string, rootId: string, strength: "share" | "update"): Promise<void>;
  /** The agent, locked `for share`, so that it cannot be killed while a child is inserted. */
  lockParent(tx: Tx, tenantId: string, agentId: string): Promise<Agent | undefined>;
  /** The agent, locked `for update`. */
  lockAgent(tx: Tx, tenantId: string, agentId: string): Promise<LaunchableAgent | undefined>;
  /**
   * The agent, the living ones below it, and those named, whether they live or not; locked
   * `for update` in the order of their ids.
   */
  lockSubtree(
    tx: Tx,
    agent: Pick<Agent, "tenantId" | "id" | "rootId">,
    alsoIds?: readonly string[],
  ): Promise<LaunchableAgent[]>;
  /** These agents and the trees that they are in, locked as for a rekey; of those that are there. */
  lockAgents(tx: Tx, tenantId: string, agentIds: readonly string[]): Promise<LaunchableAgent[]>;
  /** The same with those that live below them by now. */
  lockSubtrees(tx: Tx, tenantId: string, agentIds: readonly string[]): Promise<LaunchableAgent[]>;
  /** Writes what the VMs of these agents are to run (`healthCheck`). */
  setHealthChecks(tx: Tx, agents: readonly LaunchableAgent[]): Promise<void>;
  /** Returns false when this agent id is there already; throws AGENT_EXISTS when the slug is. */
  insert(tx: Tx, agent: NewAgent): Promise<boolean>;
  requestHash(tx: Db, tenantId: string, agentId: string): Promise<Buffer | undefined>;
  /** Takes back an agent that never got a generation; nothing happens to any other. */
  withdraw(tx: Tx, tenantId: string, agentId: string): Promise<void>;
  /** Ends an agent that is not over, whatever its VM says later. */
  end(tx: Tx, agents: readonly EndedAgent[]): Promise<void>;
  requestKill(tx: Tx, tenantId: string, agentIds: readonly string[]): Promise<LaunchableAgent[]>;
}

export interface EndedAgent {
  tenantId: string;
  id: string;
  phase: "completed" | "failed" | "cancelled";
  exit: ExitStatus;
}
