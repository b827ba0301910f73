import { type Clock, systemClock } from "../../../lib/clock";
import { notFound } from "../../../lib/errors";
import { type Log, silentLog } from "../../../lib/log";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import {
  type Cgroup,
  childCgroup,
  makeCgroup,
  removeCgroup,
  removeStaleCgroups,
} from "../linux/cgroup";
import { type ProcessIdentity, type ProcessInfo, readProcessTable } from "../linux/proc";
import { type AgentState, hasEnded, type SpawnRequest } from "./agent";
import type { InstalledLayers } from "../live-env/launch";
import { agentEnvironment } from "./agent-environment";
import { type AgentRecord } from "./agent-record";
import { boundLog } from "./bound-log";
import { endTree, type EndTreeOptions, isNobody, releaseCgroup } from "./end-tree";
import { checkSpawnRequest, launchShim } from "./launch-shim";
import { boundOutputs } from "./output-bounds";
import { StateDirectory } from "./state-directory";
import { watchState } from "./state-watch";
import { SupervisedAgent } from "./supervised-agent";
import { findOwner, type ProcessTable } from "./tree";

export interface SupervisorDeps {
  /** Survives daemon and reboot, holds no secret; made when missing (see StateDirectory). */
  stateDir: string;
  /** Told to the agents as MURMUR_SOCKET. */
  socketPath: string;
  /** The daemon's own environment; only a few harmless names are passed on. */
  inheritedEnv: Readonly<Record<string, string | undefined>>;
  /** What lets agents' running programs follow their set; waited for before the first start. */
  layers?: Promise<InstalledLayers>;
  /** `readBootId()`. */
  bootId: string;
  /** `findCgroupParent()`; without one, trees are told by session and parents. */
  cgroupParent?: Cgroup | undefined;
  clock?: Clock;
  log?: Log;
  /** How often to look for what no event tells. */
  sweepEveryMs?: number;
  /** An agent's output is cut above this. */
  maxLogBytes?: number;
  /** For what an agent's first process leaves running when it ends. */
  leftovers?: EndTreeOptions;
}

export type AgentListener = (state: AgentState) => void;

export interface KillResult {
  state: AgentState;
  /** Processes that could not be ended; normally none. */
  left: ProcessInfo[];
}

/** `kill` without options. */
const DEFAULT_KILL: EndTreeOptions = { graceMs: 5_000, killMs: 5_000 };
const START_MS = 10_000;
const STATUS_MS = 5_000;
const POLL_MS = 50;
const TABLE_MS = 20;
const GROUP_PREFIX = "murmur-";

/**
 * Starts agents, finds them again after its own restart, tells when they end, and ends them. The
 * truth is on disk and in the process table; this class keeps a copy and announces changes. It
 * needs to be the only one on its state directory: take `lockDirectory` first.
 */
export class Supervisor {
  readonly #deps: Required<Omit<SupervisorDeps, "cgroupParent" | "layers">> &
    Pick<SupervisorDeps, "cgroupParent" | "layers">;
  readonly #directory: StateDirectory;
  readonly #agents = new Map<string, SupervisedAgent>();
  readonly #spawning = new Map<string, Promise<AgentState>>();
  readonly #listeners = new Set<AgentListener>();
  readonly #stopping = new AbortController();
  #watching: Promise<unknown> | undefined;
  #table: { readMs: number; rows: ProcessTable } | undefined;

  /** Opens the state directory and finds the agents of earlier runs: `list` has them at once. */
  constructor(deps: SupervisorDeps) {
    this.#deps = {
      ...{ clock: systemClock, log: silentLog, sweepEveryMs: 10_000 },
      ...{ maxLogBytes: 64 * 1024 * 1024, leftovers: { graceMs: 2_000, killMs: 5_000 } },
      ...deps,
    };
    this.#directory = new StateDirectory(deps.stateDir);
    for (const agentId of this.#directory.list()) this.#attach(agentId);
    if (deps.cgroupParent) {
      removeStaleCgroups(deps.cgroupParent, GROUP_PREFIX, this.#deps.clock.now());
    }
  }

  /** Begins to watch: from here on listeners are told. Twice is once. */
  start(): void {
    const { clock, log, sweepEveryMs, maxLogBytes } = this.#deps;
    const { signal } = this.#stopping;
    this.#watching ??= Promise.all([
      watchState(
        {
          directory: this.#directory.events,
          ...{ clock, log, sweepEveryMs },
          onMark: (agentId) => this.#guarded(() => this.#refresh(this.#agents.get(agentId))),
          onSweep: () => this.#guarded(() => this.#sweep()),
        },
        signal,
      ),
      boundOutputs(
        {
          agents: () => [...this.#agents.values()].map(outputOf),
          pathOf: (agentId) => this.#directory.pathOf(agentId, "output.log"),
          ...{ maxBytes: maxLogBytes, cut: boundLog, clock, log },
        },
        signal,
      ),
    ]);
  }

  /**
   * Stops watching, once the ends that are under way are done. The agents go on, and are found
   * again by the next daemon.
   */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#watching;
    for (const { ending, settling } of this.#agents.values()) {
      await ending;
      await settling;
    }
  }

  /** Every agent that is not forgotten, those that are over included. */
  list(): AgentState[] {
    return [...this.#agents.values()].map(({ state }) => state);
  }

  get(agentId: string): AgentState | undefined {
    return this.#agents.get(agentId)?.state;
  }

  /**
   * Called at every change of a phase; an agent that ends at once may never be seen running.
   * Returns what ends it. What a listener throws is logged.
   */
  onChange(listener: AgentListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Starts an agent, once for all: a second call for the same id gives the state of the first. It
   * resolves when the agent's process exists (or has ended already: a command that is not there
   * ends with code 127). Throws INVALID_ARGUMENT, or what the system said when nothing was started.
   */
  async spawn(request: SpawnRequest): Promise<AgentState> {
    checkSpawnRequest(request);
    const { agentId } = request;
    const known = this.#agents.get(agentId);
    if (known && !this.#spawning.has(agentId)) return known.state;
    const spawning = this.#spawning.get(agentId) ?? this.#spawn(request);
    this.#spawning.set(agentId, spawning);
    try {
      return await spawning;
    } finally {
      this.#spawning.delete(agentId);
    }
  }

  /**
   * Ends an agent's whole tree, escaped processes included as far as they can be found, and
   * resolves when it is gone or the time is up. The agent is `cancelled` then, unless it was over
   * before. Throws NOT_FOUND for an agent that is not known here.
   */
  async kill(agentId: string, options: EndTreeOptions = DEFAULT_KILL): Promise<KillResult> {
    const agent = this.#require(agentId);
    await this.#spawning.get(agentId)?.catch(() => undefined);
    await agent.settling;
    if (agent.hasEnded) return { state: agent.state, left: [] };
    this.#cancel(agent);
    await this.#until(agent, () => agent.state.phase !== "starting", START_MS);
    const left = await this.#end(agent, options);
    await this.#until(agent, () => agent.hasEnded || left.length > 0, STATUS_MS);
    return { state: agent.state, left };
  }

  /** Removes what is kept of an agent that is over, its output included; false while it is not. */
  forget(agentId: string): boolean {
    const agent = this.#agents.get(agentId);
    if (agent && !agent.hasEnded) return false;
    if (agent?.record.cgroup) removeCgroup(agent.record.cgroup);
    this.#directory.remove(agentId);
    return this.#agents.delete(agentId) || true;
  }

  /**
   * The agent's living processes, by the kernel's word, as they were at most 20 ms ago: a report on
   * all agents reads the process table (3 ms for 100 processes) once. Throws NOT_FOUND for an
   * unknown agent.
   */
  processes(agentId: string): ProcessInfo[] {
    const agent = this.#require(agentId);
    const nowMs = this.#deps.clock.monotonicMs();
    if (!this.#table || nowMs - this.#table.readMs > TABLE_MS) {
      this.#table = { readMs: nowMs, rows: readProcessTable() };
    }
    return agent.findMembers(this.#table.rows);
  }

  /**
   * The living agent that a process belongs to, by the kernel's word. The caller makes sure that
   * the pid meant the same process before and after.
   */
  agentOf(identity: ProcessIdentity): string | undefined {
    const living = [...this.#agents.values()].filter((agent) => !agent.hasEnded);
    const owner = findOwner(
      identity,
      living.map((agent) => ({ ...agent.roots, id: agent.id })),
    );
    return owner?.id;
  }

  /** The shims of its agents: part of the daemon, though they outlive it. */
  shims(): ProcessIdentity[] {
    return [...this.#agents.values()].flatMap(({ roots }) => roots.shim ?? []);
  }

  #require(agentId: string): SupervisedAgent {
    const agent = this.#agents.get(agentId);
    if (agent) return agent;
    const reason = ErrorReason.ERROR_REASON_AGENT_NOT_FOUND;
    throw notFound(reason, `no agent ${JSON.stringify(agentId)} on this VM`);
  }

  /** Takes over what an earlier daemon left behind. */
  #attach(agentId: string): void {
    const record = this.#directory.readRecord(agentId);
    if (!record) {
      // A shim starts only after its record stands, so nothing can run.
      this.#deps.log.warn("unfinished agent record removed", { agentId });
      this.#directory.remove(agentId);
      return;
    }
    if (!this.#directory.readMarks(agentId).isClaimed && this.#directory.removeUnclaimed(agentId)) {
      this.#deps.log.info("agent that was never started removed", { agentId });
      return;
    }
    const agent = this.#add(record);
    const state = agent.judge();
    // What an ended agent has left running is ended first, once `start` was called.
    const isOver = hasEnded(state) && isNobody(agent.findMembersByMarker());
    if (isOver && record.cgroup) removeCgroup(record.cgroup);
    if (isOver || !hasEnded(state)) agent.state = state;
  }

  #add(record: AgentRecord): SupervisedAgent {
    const agent = new SupervisedAgent(record, this.#directory, this.#deps.bootId);
    this.#agents.set(record.agentId, agent);
    return agent;
  }

  async #spawn(request: SpawnRequest): Promise<AgentState> {
    const record = this.#newRecord(request);
    this.#directory.create(record);
    const agent = this.#add(record);
    try {
      if (record.cgroup) makeCgroup(record.cgroup);
      const environment = await this.#environment(request);
      const shim = await launchShim(this.#directory, environment, record, request);
      shim.once("exit", () => {
        agent.isShimGone = true;
        this.#guarded(() => this.#refresh(agent));
      });
    } catch (error) {
      this.#agents.delete(agent.id);
      this.#directory.remove(agent.id);
      if (record.cgroup) removeCgroup(record.cgroup);
      throw error;
    }
    await this.#until(agent, () => agent.state.phase !== "starting", START_MS);
    return agent.state;
  }

  #newRecord(request: SpawnRequest): AgentRecord {
    const { agentId, envDir } = request;
    const { cgroupParent, bootId, clock } = this.#deps;
    const user = request.user ?? { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
    const cgroup = cgroupParent && childCgroup(cgroupParent, GROUP_PREFIX + agentId);
    return { agentId, bootId, envDir, user, createdAt: clock.now(), ...(cgroup && { cgroup }) };
  }

  async #environment(request: SpawnRequest): Promise<Record<string, string>> {
    const { envDir, user, layersOff } = request;
    const { inheritedEnv: inherited, socketPath } = this.#deps;
    const layers = await this.#deps.layers;
    return agentEnvironment({ inherited, socketPath, envDir, user, layers, layersOff });
  }

  /** For looks that nobody waits for: out of descriptors, say, the next sweep looks again. */
  #guarded(look: () => void): void {
    try {
      look();
    } catch (error) {
      this.#deps.log.error("agents could not be looked at", { error });
    }
  }

  /** Looks at an agent anew, tells what changed, and cleans up after one that is over. */
  #refresh(agent: SupervisedAgent | undefined): void {
    if (!agent || agent.hasEnded) return;
    const state = agent.judge();
    if (hasEnded(state)) {
      agent.settling ??= this.#settle(agent).catch((error: unknown) => {
        this.#deps.log.error("agent's end could not be settled", { agentId: agent.id, error });
        agent.settling = undefined;
      });
    } else if (state.phase !== agent.state.phase) {
      this.#change(agent, state);
    }
  }

  /** An agent is over when nothing of it is left: what its first process left behind is ended. */
  async #settle(agent: SupervisedAgent): Promise<void> {
    const left = await this.#end(agent, this.#deps.leftovers);
    if (left.length > 0) {
      const pids = left.map(({ pid }) => pid);
      this.#deps.log.warn("processes of an ended agent remain", { agentId: agent.id, pids });
    }
    const { clock, log } = this.#deps;
    if (!(await releaseCgroup(agent.record.cgroup, clock)))
      log.warn("control group of an ended agent remains", { agentId: agent.id });
    this.#change(agent, agent.judge());
  }

  /** One end at a time per agent; a second caller shares it. */
  #end(agent: SupervisedAgent, options: EndTreeOptions): Promise<ProcessInfo[]> {
    const { cgroup } = agent.record;
    const look = () => agent.findMembersByMarker();
    const deps = { clock: this.#deps.clock, look, ...(cgroup && { cgroup }) };
    agent.ending ??= endTree(deps, options).finally(() => (agent.ending = undefined));
    return agent.ending;
  }

  #cancel(agent: SupervisedAgent): void {
    agent.isCancelled = true;
    try {
      this.#directory.markCancelled(agent.id);
    } catch (error) {
      // A full disk must not keep an agent alive; only a daemon started meanwhile would not know.
      this.#deps.log.warn("cancellation not noted", { agentId: agent.id, error });
    }
  }

  #change(agent: SupervisedAgent, state: AgentState): void {
    agent.state = state;
    for (const listener of this.#listeners) {
      try {
        listener(state);
      } catch (error) {
        this.#deps.log.error("listener failed", { agentId: agent.id, error });
      }
    }
  }

  /** Waits for a change, at most so long; looks for itself too, in case events do not come. */
  async #until(agent: SupervisedAgent, isDone: () => boolean, limitMs: number): Promise<void> {
    const { clock } = this.#deps;
    const endMs = clock.monotonicMs() + limitMs;
    for (;;) {
      this.#refresh(agent);
      if (isDone() || clock.monotonicMs() >= endMs) return;
      const wake = new AbortController();
      const unsubscribe = this.onChange(() => wake.abort());
      await clock.sleep(POLL_MS, wake.signal);
      unsubscribe();
    }
  }

  #sweep(): void {
    const living = [...this.#agents.values()].filter((agent) => !agent.hasEnded);
    for (const agent of living) this.#refresh(agent);
    if (living.length === 0) return;
    // Who is an agent's is remembered: an escaped process is still known by its earlier place.
    const table = readProcessTable();
    for (const agent of living) agent.findMembers(table);
  }
}

function outputOf({ id, hasEnded }: SupervisedAgent): { agentId: string; hasEnded: boolean } {
  return { agentId: id, hasEnded };
}
