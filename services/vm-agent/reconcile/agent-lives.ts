import type { AgentProcess } from "../../../gen/murmur/rotation/v1/agents";
import type { AgentReport, DesiredAgent } from "../../../gen/murmur/rotation/v1/vm_sync";
import type { Clock } from "../../../lib/clock";
import { isAppError } from "../../../lib/errors";
import type { Log } from "../../../lib/log";
import type { ProcessInfo } from "../linux/proc";
import type { InstalledLayers } from "../live-env/launch";
import { findReceipt } from "../live-env/receipts";
import type { HealthChecks } from "../reload/health-checks";
import type { Reloader } from "../reload/reloader";
import { hasEnded, type AgentState, type AgentUser, type SpawnRequest } from "../processes/agent";
import type { AdoptRequest } from "../processes/adoption";
import type { AgentNames } from "../processes/agent-names";
import { toAdoptRequest } from "./adopt-request";
import { toProcess, toReport } from "./agent-reports";
import type { LocalAgent } from "./plan";

/** The part of the supervisor that is needed here. */
export interface AgentSupervisor {
  list(): AgentState[];
  get(agentId: string): AgentState | undefined;
  spawn(request: SpawnRequest): Promise<AgentState>;
  adopt(request: AdoptRequest): AgentState;
  kill(agentId: string): Promise<unknown>;
  forget(agentId: string): boolean;
  processes(agentId: string): ProcessInfo[];
}

export interface AgentLivesDeps {
  supervisor: AgentSupervisor;
  /** The user that agents run as; absent: the daemon's own. */
  user: AgentUser | undefined;
  /** Whether agents of several developers may run under one user, who is then no boundary. */
  allowSharedUser: boolean;
  envDirOf(agentId: string): string;
  /** The bytes of an agent's receipts file; undefined: there are none. */
  receiptsOf(agentId: string): Buffer | undefined;
  /** How agents' programs were told of changes. */
  reloads: Pick<Reloader, "resultOf" | "forget">;
  /** How their health checks went. */
  health: Pick<HealthChecks, "resultOf" | "forget">;
  /** By which name `murmur exec --agent` finds an agent. */
  names: AgentNames;
  /** What agents' programs follow their set by, once it is known. */
  layers: Promise<InstalledLayers>;
  /** The services' time. */
  serverClock: Pick<Clock, "now">;
  log: Log;
}

/** The lives of this machine's agents: who lives, starting and ending them, what is reported. */
export class AgentLives {
  readonly #ending = new Set<string>();
  readonly #developers = new Map<string, string>();

  constructor(private readonly deps: AgentLivesDeps) {}

  ids(): string[] {
    return this.deps.supervisor.list().map(({ agentId }) => agentId);
  }

  stateOf(agentId: string): AgentState | undefined {
    return this.deps.supervisor.get(agentId);
  }

  lifeOf(agentId: string): LocalAgent["life"] {
    const state = this.deps.supervisor.get(agentId);
    if (!state) return "none";
    return hasEnded(state) ? "ended" : "living";
  }

  /** Remembers whose agents live here, also of those that an earlier daemon started. */
  learn(agents: readonly DesiredAgent[]): void {
    for (const { agentId, developer } of agents) this.#developers.set(agentId, developer);
    void this.#name(agents);
  }

  /** Starts or adopts an agent whose set stands. Returns why not, when it cannot be. */
  async start(agent: DesiredAgent): Promise<string | undefined> {
    const { agentId, developer } = agent;
    const other = this.#otherDeveloper(developer);
    if (other !== undefined && !this.deps.allowSharedUser) {
      return "agents of another developer run under this machine's only user";
    }
    this.#developers.set(agentId, developer);
    try {
      const state = await this.#begin(agent);
      const pid = state.main?.pid;
      this.deps.log.info(state.adopted ? "process adopted" : "agent started", { agentId, pid });
      void this.#name([agent]);
      return undefined;
    } catch (error) {
      this.deps.log.error("agent could not be started", { agentId, error });
      return isAppError(error) ? error.message : "the system refused to start it";
    }
  }

  async #begin(agent: DesiredAgent): Promise<AgentState> {
    const { supervisor, user, serverClock } = this.deps;
    const { agentId, settings, command, workingDirectory } = agent;
    const envDir = this.deps.envDirOf(agentId);
    if (settings?.adopt) {
      const facts = { envDir, user, now: serverClock.now() };
      return supervisor.adopt(toAdoptRequest(agent, settings.adopt, facts));
    }
    return supervisor.spawn({
      ...{ agentId, argv: command, envDir, layersOff: settings?.layersOff ?? [] },
      ...(workingDirectory !== "" && { cwd: workingDirectory }),
      ...(user && { user }),
    });
  }

  /** Begins to end agents; their reports follow when they are gone. */
  end(agentIds: readonly string[]): void {
    for (const agentId of agentIds) {
      if (this.#ending.has(agentId)) continue;
      this.#ending.add(agentId);
      this.deps.supervisor
        .kill(agentId)
        .catch((error: unknown) => {
          this.deps.log.error("agent could not be ended", { agentId, error });
        })
        .finally(() => this.#ending.delete(agentId));
    }
  }

  /** An agent is over: nothing finds it by its name any more. */
  ended(agentId: string): void {
    this.#guarded(() => this.deps.names.remove(this.deps.envDirOf(agentId)));
  }

  forget(agentId: string): void {
    this.ended(agentId);
    this.#developers.delete(agentId);
    this.deps.supervisor.forget(agentId);
    this.deps.reloads.forget(agentId);
    this.deps.health.forget(agentId);
  }

  report(agentId: string): AgentReport | undefined {
    const state = this.deps.supervisor.get(agentId);
    return state && this.#toReport(state);
  }

  reports(): AgentReport[] {
    return this.deps.supervisor.list().map((state) => this.#toReport(state));
  }

  livingReports(): AgentReport[] {
    const living = this.deps.supervisor.list().filter((state) => !hasEnded(state));
    return living.map((state) => this.#toReport(state));
  }

  /** Writes down by which names those that live here are found. */
  async #name(agents: readonly DesiredAgent[]): Promise<void> {
    const layers = await this.deps.layers;
    for (const { agentId, workspace, path, settings } of agents) {
      if (this.lifeOf(agentId) !== "living") continue;
      const envDir = this.deps.envDirOf(agentId);
      const layersOff = settings?.layersOff ?? [];
      this.#guarded(() => this.deps.names.put({ workspace, path, envDir, layers, layersOff }));
    }
  }

  /** Without a name, an agent lives on. */
  #guarded(change: () => void): void {
    try {
      change();
    } catch (error) {
      this.deps.log.warn("names of agents could not be written", { error });
    }
  }

  #toReport(state: AgentState): AgentReport {
    const reload = this.deps.reloads.resultOf(state.agentId);
    const health = this.deps.health.resultOf(state.agentId);
    return {
      ...toReport(state, this.#processes(state)),
      ...(reload && { reload }),
      ...(health && { health }),
    };
  }

  #processes(state: AgentState): AgentProcess[] {
    if (hasEnded(state)) return [];
    const receipts = this.deps.receiptsOf(state.agentId);
    return this.deps.supervisor
      .processes(state.agentId)
      .map((info) => toProcess(info, receipts && findReceipt(receipts, info)));
  }

  #otherDeveloper(developer: string): string | undefined {
    return this.ids()
      .filter((agentId) => this.lifeOf(agentId) === "living")
      .map((agentId) => this.#developers.get(agentId))
      .find((other) => other !== undefined && other !== developer);
  }
}
