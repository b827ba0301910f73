import { type ProcessIdentity } from "../linux/proc";
import { type AgentUser } from "./agent";

/** A process that was started by other means and is to become an agent. */
export interface AdoptRequest {
  /** As in SpawnRequest. */
  agentId: string;
  envDir: string;
  /** The daemon's own user when absent; the process must be this user's. */
  user?: AgentUser;
  pid: number;
  /** The start time that was meant; 0: of whichever process has the pid. */
  startTicks: number;
  /** How long ago the adoption was asked for: a process that began later is another one. */
  askedMsAgo: number;
  /** For what is said of it: its path, and how its programs are told of changes. */
  path: string;
  reload?: ReloadWish;
}

/** How programs are told of a change. */
export type ReloadWish =
  { kind: "signal"; signal: NodeJS.Signals; to: "process" | "group" } | { kind: "hook" };

/** What is known of an adopted process beside its state, from the moment of its adoption. */
export interface AdoptedFacts {
  /** Name of its program. */
  name: string;
  startedAt: Date;
  /** Sentences for people: what it can use of its agent, and what it cannot. */
  canUse: readonly string[];
  cannotUse: readonly string[];
}

/** A process that is an agent's or the daemon's already. */
export interface TakenProcess extends ProcessIdentity {
  by: "agent" | "daemon";
}
