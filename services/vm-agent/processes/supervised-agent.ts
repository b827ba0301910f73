import { isAlive, type ProcessIdentity, type ProcessInfo, readProcessTable } from "../linux/proc";
import { type AgentState, hasEnded } from "./agent";
import { type AgentRecord } from "./agent-record";
import { judgeAgent } from "./judge-agent";
import { type StateDirectory } from "./state-directory";
import {
  findMembers,
  findMembersByMarker,
  type ProcessTable,
  type TreeLook,
  type TreeRoots,
} from "./tree";

/** One agent in the supervisor's memory: what was last read of it, and the processes seen. */
export class SupervisedAgent {
  state: AgentState;
  /** Set when the shim's end was seen, or it never came to be. */
  isShimGone = false;
  /** Set when the end was asked for, even where that could not be noted on disk. */
  isCancelled = false;
  /** The end that is under way: of the whole tree, or of what the first process left. */
  ending: Promise<ProcessInfo[]> | undefined;
  settling: Promise<void> | undefined;
  #known: readonly ProcessIdentity[] = [];
  #shim: ProcessIdentity | undefined;

  constructor(
    readonly record: AgentRecord,
    private readonly stateDirectory: Pick<StateDirectory, "readMarks">,
    private readonly bootId: string,
  ) {
    const { agentId, envDir, user, createdAt } = record;
    this.state = { agentId, envDir, user, createdAt, phase: "starting" };
  }

  get id(): string {
    return this.record.agentId;
  }

  get hasEnded(): boolean {
    return hasEnded(this.state);
  }

  get roots(): TreeRoots {
    const { envDir, user, cgroup } = this.record;
    const { main } = this.state;
    return {
      ...{ envDir, uid: user.uid, known: this.#known },
      ...(main && { main }),
      ...(this.#shim && { shim: this.#shim }),
      ...(cgroup && { cgroup }),
    };
  }

  /** Reads the state anew from the disk and the process table, without keeping it. */
  judge(): AgentState {
    const first = this.#judgeOnce();
    if (first.exit?.kind !== "lost") return first;
    // The shim may have written the status and ended between our two looks; now it is final.
    return this.#judgeOnce();
  }

  /** Its living processes, by the kernel's word alone. */
  findMembers(table: ProcessTable = readProcessTable()): ProcessInfo[] {
    // On another boot, a pid of the record means somebody else.
    if (this.record.bootId !== this.bootId) return [];
    const members = findMembers(table, this.roots);
    this.#known = members.map(({ pid, startTime }) => ({ pid, startTime }));
    return members;
  }

  /** By the marker too (see tree.ts). */
  findMembersByMarker(): TreeLook {
    if (this.record.bootId !== this.bootId) return { members: [], isSure: true };
    const table = readProcessTable();
    this.findMembers(table);
    return findMembersByMarker(table, this.roots);
  }

  #judgeOnce(): AgentState {
    const marks = this.stateDirectory.readMarks(this.id);
    marks.isCancelled ||= this.isCancelled;
    this.#shim = marks.shim ?? this.#shim;
    const { bootId, isShimGone } = this;
    return judgeAgent(this.record, marks, { bootId, isShimGone, isAlive });
  }
}
