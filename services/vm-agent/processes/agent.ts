import { type ProcessIdentity } from "../linux/proc";
import { type AdoptedFacts } from "./adoption";

/** The user that an agent runs as. Only a root daemon can choose one. */
export interface AgentUser {
  uid: number;
  gid: number;
  /** Supplementary groups; none when absent. */
  groups?: readonly number[];
}

/** What is to run. Everything but `argv` is chosen by the daemon, never by an agent. */
export interface SpawnRequest {
  /** Names the agent for ever; letters, digits, `-` and `_`, at most 64. Never used twice. */
  agentId: string;
  /** The command with its arguments, passed on byte for byte (UTF-8, no NUL). */
  argv: readonly string[];
  /** The agent's directory of env files, `<runDir>/agents/<agentId>`; its set must stand already. */
  envDir: string;
  /** Absolute; entered with the agent's rights. Absent: the user's home, else `/`. */
  cwd?: string;
  /** The daemon's own user when absent. */
  user?: AgentUser;
  /** Layers of live-env that this agent does without. */
  layersOff?: readonly string[];
}

/** How an agent's first process ended. */
export type ExitStatus =
  | { kind: "code"; code: number }
  | { kind: "signal"; signal: NodeJS.Signals }
  /**
   * Nobody saw the end: `rebooted`, the machine was started anew; `vanished`, the process and its
   * shim were both killed from outside; `not-started`, the shim ended before the agent began;
   * `adopted`, only its parent, who is another one, can know how it ended.
   */
  | { kind: "lost"; why: "rebooted" | "vanished" | "not-started" | "adopted" };

/**
 * starting → running → completed (code 0), failed (anything else), or cancelled (ended by `kill`,
 * or by a reboot). What comes after running is for ever. One that was adopted is running at once, and
 * completed when it ends.
 */
export type AgentPhase = "starting" | "running" | "completed" | "failed" | "cancelled";

/** What is known of one agent on this machine. */
export interface AgentState {
  agentId: string;
  phase: AgentPhase;
  envDir: string;
  user: AgentUser;
  /** The agent's first process, once it has started; kept after its end. */
  main?: ProcessIdentity;
  /** Present in the three last phases. */
  exit?: ExitStatus;
  createdAt: Date;
  /** Absent for one that was started. */
  adopted?: AdoptedFacts;
}

/** Whether the agent is over. */
export function hasEnded(state: Pick<AgentState, "phase">): boolean {
  return state.phase !== "starting" && state.phase !== "running";
}
