import * as nodeFs from "node:fs";
import { type Clock, systemClock } from "../../../lib/clock";
import { AgentsDirectory, type EnvFilesContext } from "./agent-directory";
import { differs } from "./differs";
import { type EnvSet } from "./env-set";
import { type Placement } from "./environment";
import { FreeSpace } from "./free-space";
import { inspect, type Inspection, type Verdict, verify } from "./inspect";
import { randomSuffix } from "./layout";
import { type LiveFile } from "../live-env/live-file";
import { type CurrentSet, readCurrent, readHistory, readReceipts } from "./read-current";
import { type CurrentValues, readValues } from "./read-values";
import { type RenderedSet } from "./render";
import { putInForce, stage, type StagedSet, unstage } from "./stage";
import { prune, remove, sweep, type SweepResult } from "./sweep";
import { swap, type SwapResult } from "./swap";
import { createSwapListeners } from "./swap-listeners";
import { type Owner, type SyncFs } from "./sync-fs";

export interface EnvFilesDeps {
  /** As `prepareRunDir` returned it. */
  agentsDirectory: string;
  /** The daemon's effective user; 0 gives files to agents. */
  uid: number;
  /** node:fs, unless a test counts or fails its calls. */
  fs?: SyncFs;
  /** The random part of a generation's directory name. */
  suffix?: () => string;
  clock?: Pick<Clock, "monotonicMs">;
}

/**
 * The env files of all agents of one VM. Every call is synchronous and whole: no two of one
 * process interleave, and only one daemon may use a run directory. All throw EnvSetError.
 */
export interface EnvFiles {
  /** The agent's directory, absolute, whether it exists or not. */
  directoryOf(agentId: string): string;
  /** Puts a rendered set in force; see `swap`. `owner` is the agent's user and its group. */
  swap(rendered: RenderedSet, owner: Owner): SwapResult;
  /** Writes a set that may soon be wanted; see `stage`. At most one of an agent at a time. */
  stage(rendered: RenderedSet, owner: Owner): StagedSet | undefined;
  /** Puts a staged set in force; see `putInForce`. */
  putInForce(staged: StagedSet): SwapResult | undefined;
  /** Removes a staged set that nobody wants. Never fails. */
  unstage(staged: StagedSet): void;
  /**
   * Calls `listener` after each swap of the agent, while its set is in force, until what it returns
   * is called. It must not throw.
   */
  onSwap(agentId: string, listener: () => void): () => void;
  /** What stands, with its damage; undefined for nothing. For the VM's hello after a start. */
  inspect(agentId: string, owner: Owner): Inspection | undefined;
  /** Whether what stands is `expected`, whole. `damaged` and `absent` ask for another swap. */
  verify(agentId: string, owner: Owner, expected: ExpectedSet): Verdict;
  /** The set in force, from one generation; undefined for none. */
  readCurrent(agentId: string): CurrentSet | undefined;
  /** Whether a set would change what programs of its agent see; see `differs`. */
  differs(set: EnvSet, placement: Placement): boolean;
  /** Values of these names, from one generation; undefined when no set stands. */
  readValues(agentId: string, names: readonly string[]): CurrentValues | undefined;
  /** What was ever delivered, for `render`; undefined for nothing. */
  readHistory(agentId: string): LiveFile | undefined;
  /** What processes wrote into their agent's receipts; undefined for none, or no file of ours. */
  readReceipts(agentId: string): Buffer | undefined;
  /** Keeps the set in force and the two before it; to be called off the ack path. */
  prune(agentId: string): number;
  /** Removes all of an agent that ended. */
  remove(agentId: string): void;
  /** Cleans up after a crash; to be called once, before the first swap. */
  sweep(knownAgentIds: ReadonlySet<string>): SweepResult;
  /** Gives the held descriptor back; the next call would open it again. */
  close(): void;
}

/** Which set should stand. */
export interface ExpectedSet {
  generation: bigint;
  fingerprint: string;
}

/** Builds the operations on one run directory. */
export function createEnvFiles(deps: EnvFilesDeps): EnvFiles {
  const { agentsDirectory, uid, fs = nodeFs, suffix = randomSuffix, clock = systemClock } = deps;
  const agents = new AgentsDirectory({ fs, ...processFacts() }, agentsDirectory, uid);
  const space = new FreeSpace(clock);
  const prepared = new Map<string, string>();
  const staged = new Map<string, string>();
  const context: EnvFilesContext = {
    ...{ agentsDirectory, agents, uid, suffix, space },
    ...{ prepared, staged },
  };
  const listeners = createSwapListeners();
  return {
    directoryOf: (agentId) => `${agentsDirectory}/${agentId}`,
    swap: (rendered, owner) => {
      const result = swap(context, rendered, owner);
      listeners.tell(rendered.agentId);
      return result;
    },
    stage: (rendered, owner) => stage(context, rendered, owner),
    putInForce: (ready) => {
      const result = putInForce(context, ready);
      if (result) listeners.tell(ready.agentId);
      return result;
    },
    unstage: (ready) => {
      unstage(context, ready);
    },
    onSwap: (agentId, listener) => listeners.add(agentId, listener),
    inspect: (agentId, owner) => inspect(context, agentId, owner),
    verify: (agentId, owner, expected) => verify(inspect(context, agentId, owner), expected),
    readCurrent: (agentId) => readCurrent(context, agentId),
    differs: (set, placement) => differs(context, set, placement),
    readValues: (agentId, names) => readValues(context, agentId, names),
    readHistory: (agentId) => readHistory(context, agentId),
    readReceipts: (agentId) => readReceipts(context, agentId),
    prune: (agentId) => prune(context, agentId),
    remove: (agentId) => {
      remove(context, agentId);
    },
    sweep: (knownAgentIds) => sweep(context, knownAgentIds),
    close: () => {
      agents.close();
    },
  };
}

/**
 * The umask is read here since process.umask() sets it in order to read it. The pid is the one by
 * which this /proc knows us: in a container that was given another /proc, process.pid would lead
 * to the descriptors of a stranger. (`/proc/self/fd` itself costs a link more at each call.)
 */
function processFacts(): { umask: number; descriptors: string } {
  const status = nodeFs.readFileSync("/proc/self/status", "latin1");
  const umask = Number.parseInt(/^Umask:\s*(\d+)$/m.exec(status)?.[1] ?? "777", 8);
  return { umask, descriptors: `/proc/${nodeFs.readlinkSync("/proc/self")}/fd` };
}
