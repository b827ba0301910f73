import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { type Clock, systemClock } from "../../../lib/clock";
import { notFound } from "../../../lib/errors";
import { type Log, silentLog } from "../../../lib/log";
import { type ProcessIdentity, type ProcessInfo, readProcessTable } from "../linux/proc";
import { AdoptedAgent } from "./adopted-agent";
import { formatAdopted, parseAdopted } from "./adopted-record";
import { type AdoptRequest, type TakenProcess } from "./adoption";
import { checkAdoption } from "./adoption-check";
import { type AgentState, hasEnded } from "./agent";
import { describeAdoption } from "./describe-adoption";
import { endTree, type EndTreeOptions } from "./end-tree";
import { readIfPresent, replaceFile, requireOwnDirectory } from "./small-file";
import { type AgentListener, type KillResult } from "./supervisor";
import { findOwner, type ProcessTable } from "./tree";

export interface AdoptedAgentsDeps {
  /** Of the daemon; survives it and a reboot. Records are in `adopted/`. */
  stateDir: string;
  socketPath: string;
  bootId: string;
  /** Processes that are agents' or the daemon's already, beside those that are adopted. */
  taken: () => readonly TakenProcess[];
  clock?: Clock;
  log?: Log;
  /** How often to look whether they live: no event tells of the end of another's child. */
  lookEveryMs?: number;
}

const DEFAULT_KILL: EndTreeOptions = { graceMs: 5_000, killMs: 5_000 };
const LOOK_EVERY_MS = 500;
const IDLE_MS = 24 * 3_600_000;
const TABLE_MS = 20;
const RECORD = /^([A-Za-z0-9][A-Za-z0-9_-]{0,63})\.json$/;

/**
 * Agents that are processes which were started by other means: finds them again after its own
 * restart, tells when they end, and ends them. It signals nothing but the tree of an adopted process:
 * itself, what descends from it, and the session that it leads; and what such a process leaves behind
 * when it ends by itself goes on.
 */
export class AdoptedAgents {
  readonly #deps: Required<AdoptedAgentsDeps>;
  readonly #directory: string;
  readonly #agents = new Map<string, AdoptedAgent>();
  readonly #listeners = new Set<AgentListener>();
  readonly #stopping = new AbortController();
  /** Ends the pause between two looks. */
  #rest = new AbortController();
  #watching: Promise<void> | undefined;
  #table: { readMs: number; rows: ProcessTable } | undefined;

  /** Finds those of earlier daemons: `list` has them at once. */
  constructor(deps: AdoptedAgentsDeps) {
    this.#deps = { clock: systemClock, log: silentLog, lookEveryMs: LOOK_EVERY_MS, ...deps };
    this.#directory = join(deps.stateDir, "adopted");
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    requireOwnDirectory(this.#directory);
    for (const name of readdirSync(this.#directory)) this.#attach(name);
  }

  /** Begins to watch: from here on listeners are told. Twice is once. */
  start(): void {
    this.#watching ??= this.#watch(this.#stopping.signal);
  }

  /** Stops watching, once the ends that are under way are done. The processes go on. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#rest.abort();
    await this.#watching;
    for (const { ending } of this.#agents.values()) await ending;
  }

  list(): AgentState[] {
    return [...this.#agents.values()].map(({ state }) => state);
  }

  get(agentId: string): AgentState | undefined {
    return this.#agents.get(agentId)?.state;
  }

  /** Called at every end. Returns what ends it. */
  onChange(listener: AgentListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Makes a process an agent, once for all: a second call for the same id gives the state of the
   * first. Nothing is done to the process. Throws PROCESS_NOT_ADOPTABLE.
   */
  adopt(request: AdoptRequest): AgentState {
    const known = this.#agents.get(request.agentId);
    if (known) return known.state;
    const { bootId, clock, socketPath } = this.#deps;
    const user = request.user ?? { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
    const info = checkAdoption(request, user, [...this.#deps.taken(), ...this.#taken()]);
    const { agentId, envDir } = request;
    const { pid, startTime } = info;
    const facts = describeAdoption(request, info, user, { socketPath, now: clock.now() });
    const agent = new AdoptedAgent(
      {
        ...{ agentId, bootId, envDir, user, facts, isCancelled: false },
        ...{ main: { pid, startTime }, createdAt: clock.now() },
      },
      bootId,
    );
    this.#write(agent);
    this.#agents.set(agentId, agent);
    this.#rest.abort();
    this.#tell(agent);
    return agent.state;
  }

  /**
   * Ends the tree of an adopted process, and resolves when it is gone or the time is up; `cancelled`
   * then, unless it was over before. Throws NOT_FOUND.
   */
  async kill(agentId: string, options: EndTreeOptions = DEFAULT_KILL): Promise<KillResult> {
    const agent = this.#require(agentId);
    this.#look(agent);
    if (hasEnded(agent.state)) return { state: agent.state, left: [] };
    agent.record.isCancelled = true;
    try {
      this.#write(agent);
    } catch (error) {
      // A full disk must not keep an agent alive; only a daemon started meanwhile would not know.
      this.#deps.log.warn("cancellation not noted", { agentId, error });
    }
    agent.ending ??= endTree(
      {
        clock: this.#deps.clock,
        look: () => ({ members: agent.findMembers(readProcessTable()), isSure: true }),
      },
      options,
    ).finally(() => (agent.ending = undefined));
    const left = await agent.ending;
    this.#look(agent);
    return { state: agent.state, left };
  }

  /** Removes what is kept of one that is over; false while it is not. */
  forget(agentId: string): boolean {
    const agent = this.#agents.get(agentId);
    if (agent && !hasEnded(agent.state)) return false;
    rmSync(this.#pathOf(agentId), { force: true });
    return this.#agents.delete(agentId) || true;
  }

  /** The living processes of its tree, as they were at most 20 ms ago. Throws NOT_FOUND. */
  processes(agentId: string): ProcessInfo[] {
    const agent = this.#require(agentId);
    const nowMs = this.#deps.clock.monotonicMs();
    if (!this.#table || nowMs - this.#table.readMs > TABLE_MS) {
      this.#table = { readMs: nowMs, rows: readProcessTable() };
    }
    return agent.findMembers(this.#table.rows);
  }

  /** The living one whose tree a process belongs to, by the kernel's word. */
  agentOf(identity: ProcessIdentity): string | undefined {
    const living = [...this.#agents.values()].filter(({ state }) => !hasEnded(state));
    const roots = living.map((agent) => ({ ...agent.roots, id: agent.record.agentId }));
    return findOwner(identity, roots)?.id;
  }

  #require(agentId: string): AdoptedAgent {
    const agent = this.#agents.get(agentId);
    if (agent) return agent;
    const reason = ErrorReason.ERROR_REASON_AGENT_NOT_FOUND;
    throw notFound(reason, `no adopted agent ${JSON.stringify(agentId)} on this VM`);
  }

  #attach(name: string): void {
    const agentId = RECORD.exec(name)?.[1];
    const record = parseAdopted(readIfPresent(join(this.#directory, name)) ?? "");
    if (agentId !== undefined && record?.agentId === agentId) {
      this.#agents.set(agentId, new AdoptedAgent(record, this.#deps.bootId));
      return;
    }
    this.#deps.log.warn("unfinished record of an adopted agent removed", { name });
    rmSync(join(this.#directory, name), { force: true });
  }

  #taken(): TakenProcess[] {
    const living = [...this.#agents.values()].filter(({ state }) => !hasEnded(state));
    const table = readProcessTable();
    return living
      .flatMap((agent) => agent.findMembers(table))
      .map(({ pid, startTime }) => ({ pid, startTime, by: "agent" }));
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const { clock, log, lookEveryMs } = this.#deps;
    while (!signal.aborted) {
      try {
        for (const agent of this.#agents.values()) this.#look(agent);
      } catch (error) {
        log.error("adopted agents could not be looked at", { error });
      }
      const isIdle = this.list().every(hasEnded);
      this.#rest = new AbortController();
      const ms = isIdle ? IDLE_MS : lookEveryMs;
      await clock.sleep(ms, this.#rest.signal);
    }
  }

  /** Tells of its end, once all of its tree is gone that is being ended. */
  #look(agent: AdoptedAgent): void {
    if (hasEnded(agent.state) || agent.ending) return;
    if (agent.look()) this.#tell(agent);
  }

  #tell({ state }: AdoptedAgent): void {
    for (const listener of this.#listeners) {
      try {
        listener(state);
      } catch (error) {
        this.#deps.log.error("listener failed", { agentId: state.agentId, error });
      }
    }
  }

  #write({ record }: AdoptedAgent): void {
    replaceFile(this.#pathOf(record.agentId), formatAdopted(record));
  }

  #pathOf(agentId: string): string {
    return join(this.#directory, `${agentId}.json`);
  }
}
