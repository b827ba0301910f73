import {
  constants,
  fchownSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  closeSync,
} from "node:fs";
import { join } from "node:path";
import { parseStat, type ProcessIdentity } from "../linux/proc";
import { type ExitStatus } from "./agent";
import { type AgentRecord, formatRecord, parseRecord } from "./agent-record";
import { parseExitStatus } from "./exit-status";
import { SHIM_SCRIPT } from "./shim-script";
import {
  createFile,
  readIfPresent,
  replaceFile,
  requireOwnDirectory,
  syncDirectory,
  writeAndClose,
} from "./small-file";

/** What a shim has left behind so far. */
export interface ShimMarks {
  /** Whether the shim has begun; from then on the daemon cannot take the start back. */
  isClaimed: boolean;
  shim?: ProcessIdentity;
  main?: ProcessIdentity;
  exit?: ExitStatus;
  /** Whether the end was asked for. */
  isCancelled: boolean;
}

/** The room that `exit <status> said` takes, set aside before the agent starts. */
const EXIT_ROOM = `${" ".repeat(63)}\n`;

/**
 * The directory that survives the daemon and the machine's reboot, without any secret:
 *
 * ```
 * agents/<id>/   agent.json · output.log · shim.log · claim · cancelled
 * events/        <id>.started · <id>.exit: watched, so it holds no logs
 * shim.sh        what the shims run
 * lock           one daemon at a time
 * ```
 *
 * All of it belongs to the daemon's user, 0700, so no agent under another user can put a link, a
 * FIFO or a status there. Calls are synchronous: each touches a few small files.
 */
export class StateDirectory {
  readonly events: string;
  readonly shimPath: string;
  readonly #agents: string;

  /** Makes what is missing; throws when another user could change the directory. */
  constructor(path: string) {
    this.#agents = join(path, "agents");
    this.events = join(path, "events");
    this.shimPath = join(path, "shim.sh");
    for (const each of [path, this.#agents, this.events]) {
      mkdirSync(each, { recursive: true, mode: 0o700 });
      requireOwnDirectory(each);
    }
    // By rename: a shell reads its script as it goes, and shims of an older daemon still run.
    replaceFile(this.shimPath, SHIM_SCRIPT);
    this.#finishRemovals();
  }

  /** Where the agent's files are, or the path of one of them. */
  pathOf(agentId: string, file = ""): string {
    return join(this.#agents, agentId, file);
  }

  /** The ids of all agents that are kept here. */
  list(): string[] {
    return readdirSync(this.#agents).filter((name) => !name.startsWith("."));
  }

  /** Notes an agent, durably, with the files that its shim needs. Its id must be new. */
  create(record: AgentRecord): void {
    const { agentId } = record;
    mkdirSync(this.pathOf(agentId), { mode: 0o700 });
    closeSync(createFile(this.pathOf(agentId, "shim.log")));
    writeAndClose(createFile(this.pathOf(agentId, "exit.tmp")), EXIT_ROOM);
    replaceFile(this.pathOf(agentId, "agent.json"), formatRecord(record));
    syncDirectory(this.#agents);
  }

  /**
   * A new log for the agent's output, open for appending; the caller closes it. It is given to the
   * agent's user, who may then open /dev/stdout too; the directory around it stays closed.
   */
  openLog(record: AgentRecord): number {
    const fd = createFile(this.pathOf(record.agentId, "output.log"), constants.O_APPEND);
    if (record.user.uid !== process.getuid?.()) fchownSync(fd, record.user.uid, record.user.gid);
    return fd;
  }

  /** Undefined when the record was never finished, or is damaged. */
  readRecord(agentId: string): AgentRecord | undefined {
    const record = parseRecord(readIfPresent(this.pathOf(agentId, "agent.json")) ?? "");
    return record?.agentId === agentId ? record : undefined;
  }

  readMarks(agentId: string): ShimMarks {
    const claim = readIfPresent(this.pathOf(agentId, "claim"));
    const shim = parseStat(claim ?? "");
    const main = parseStat(readIfPresent(this.#eventPath(agentId, "started")) ?? "");
    const exit = parseExitStatus(readIfPresent(this.#eventPath(agentId, "exit")) ?? "");
    return {
      isClaimed: claim !== undefined,
      ...(shim && { shim: toIdentity(shim) }),
      ...(main && { main: toIdentity(main) }),
      ...(exit && { exit }),
      isCancelled: readIfPresent(this.pathOf(agentId, "cancelled")) !== undefined,
    };
  }

  /** Notes, durably, that the agent's end, when it comes, was asked for. */
  markCancelled(agentId: string): void {
    replaceFile(this.pathOf(agentId, "cancelled"), "");
  }

  /**
   * Takes back an agent whose shim has not begun; false, and nothing changed, when it has. The
   * directory is moved aside first: a shim that comes late finds nowhere to put its claim, or to
   * go on from there.
   */
  removeUnclaimed(agentId: string): boolean {
    const aside = this.pathOf(`.${agentId}`);
    renameSync(this.pathOf(agentId), aside);
    return this.#finishRemoval(agentId);
  }

  /** Forgets an agent that is over, its log included. */
  remove(agentId: string): void {
    rmSync(this.pathOf(agentId), { recursive: true, force: true });
    rmSync(this.#eventPath(agentId, "started"), { force: true });
    rmSync(this.#eventPath(agentId, "exit"), { force: true });
  }

  #finishRemovals(): void {
    const aside = readdirSync(this.#agents).filter((name) => name.startsWith("."));
    for (const name of aside) this.#finishRemoval(name.slice(1));
  }

  #finishRemoval(agentId: string): boolean {
    const aside = this.pathOf(`.${agentId}`);
    if (readIfPresent(join(aside, "claim")) !== undefined) {
      renameSync(aside, this.pathOf(agentId));
      return false;
    }
    rmSync(aside, { recursive: true, force: true });
    return true;
  }

  #eventPath(agentId: string, mark: "started" | "exit"): string {
    return join(this.events, `${agentId}.${mark}`);
  }
}

function toIdentity({ pid, startTime }: ProcessIdentity): ProcessIdentity {
  return { pid, startTime };
}
