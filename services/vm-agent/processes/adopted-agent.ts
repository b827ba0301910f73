import { isAlive, type ProcessIdentity, type ProcessInfo } from "../linux/proc";
import { type AdoptedRecord } from "./adopted-record";
import { type AgentState, type ExitStatus } from "./agent";
import { findMembers, type ProcessTable, type TreeRoots } from "./tree";

/** One adopted process in memory: what was last seen of it, and of its tree. */
export class AdoptedAgent {
  state: AgentState;
  /** The end that is under way. */
  ending: Promise<ProcessInfo[]> | undefined;
  #known: readonly ProcessIdentity[] = [];

  constructor(
    readonly record: AdoptedRecord,
    private readonly bootId: string,
  ) {
    this.state = this.#judge();
  }

  /** No marker and no group of its own: only what descends from the process is the agent's. */
  get roots(): TreeRoots {
    const { envDir, user, main } = this.record;
    return { envDir, uid: user.uid, main, known: this.#known };
  }

  /** Looks anew; returns whether it has come to its end. */
  look(): boolean {
    const { phase } = this.state;
    this.state = this.#judge();
    return this.state.phase !== phase;
  }

  /** Its living processes, by the kernel's word alone. */
  findMembers(table: ProcessTable): ProcessInfo[] {
    // On another boot, the pid of the record means somebody else.
    if (this.record.bootId !== this.bootId) return [];
    const members = findMembers(table, this.roots);
    this.#known = members.map(({ pid, startTime }) => ({ pid, startTime }));
    return members;
  }

  #judge(): AgentState {
    const { agentId, envDir, user, main, createdAt, facts } = this.record;
    const state = { agentId, envDir, user, main, createdAt, adopted: facts };
    if (this.record.bootId !== this.bootId)
      return { ...state, phase: "cancelled", exit: lost("rebooted") };
    if (isAlive(main)) return { ...state, phase: "running" };
    return {
      ...state,
      phase: this.record.isCancelled ? "cancelled" : "completed",
      exit: lost("adopted"),
    };
  }
}

function lost(why: Extract<ExitStatus, { kind: "lost" }>["why"]): ExitStatus {
  return { kind: "lost", why };
}
