import {
  HealthOutcome,
  type HealthCheck,
  type HealthResult,
} from "../../../gen/murmur/rotation/v1/agents";
import type { Log } from "../../../lib/log";
import { isAlive, type ProcessIdentity, readProcess } from "../linux/proc";
import { type AgentState, hasEnded } from "../processes/agent";
import { runForAgent, type RunForAgentDeps } from "./run-for-agent";

export interface HealthChecksDeps extends RunForAgentDeps {
  /** What is known of an agent on this machine. */
  stateOf(agentId: string): AgentState | undefined;
  /** The check that is wished; undefined for none. */
  checkOf(agentId: string): HealthCheck | undefined;
  /** The generation in force; undefined for none. */
  generationOf(agentId: string): bigint | undefined;
  log: Log;
}

/** The newest check of an agent, that runs or has run. */
interface Check {
  checkId: string;
  leader?: ProcessIdentity;
  result?: HealthResult;
}

/**
 * Runs the health checks that the rotation service wishes, each id once in this daemon's life, at
 * most one at a time for an agent. What it finds is told and nothing else comes of it here.
 */
export class HealthChecks {
  readonly #checks = new Map<string, Check>();
  readonly #running = new Map<string, Promise<void>>();
  readonly #stopping = new AbortController();
  #onResult: (agentId: string) => void = () => undefined;

  constructor(private readonly deps: HealthChecksDeps) {}

  /** Called when a check has ended. */
  onResult(listener: (agentId: string) => void): void {
    this.#onResult = listener;
  }

  /** Begins what is wished and can be done now. */
  look(agentId: string): void {
    if (this.#stopping.signal.aborted || this.#running.has(agentId)) return;
    const state = this.deps.stateOf(agentId);
    const wish = this.deps.checkOf(agentId);
    if (!wish || !state?.main || hasEnded(state)) return;
    if (this.#checks.get(agentId)?.checkId === wish.checkId) return;
    if ((this.deps.generationOf(agentId) ?? 0n) < wish.generation) return;
    const check: Check = { checkId: wish.checkId };
    this.#checks.set(agentId, check);
    const work = this.#run(state, wish, check).finally(() => {
      this.#running.delete(agentId);
      // Another may have been wished meanwhile.
      this.look(agentId);
    });
    this.#running.set(agentId, work);
  }

  resultOf(agentId: string): HealthResult | undefined {
    return this.#checks.get(agentId)?.result;
  }

  /** The agent whose check a process belongs to, by the kernel's word: the session of the check. */
  agentOf({ pid, startTime }: ProcessIdentity): string | undefined {
    const info = readProcess(pid);
    if (info?.startTime !== startTime) return undefined;
    return [...this.#running.keys()].find((agentId) => {
      const leader = this.#checks.get(agentId)?.leader;
      return leader?.pid === info.session && isAlive(leader);
    });
  }

  /** The agent is over and nobody asks about it any more. */
  forget(agentId: string): void {
    this.#checks.delete(agentId);
  }

  /** Ends the checks that run; the next daemon runs them again. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#running.values());
  }

  async #run(
    state: AgentState,
    { checkId, argv, timeoutMs }: HealthCheck,
    check: Check,
  ): Promise<void> {
    const { agentId, main } = state;
    const reason = await this.#reasonOf(state, { argv, timeoutMs }, check);
    if (this.#stopping.signal.aborted) return;
    // What an agent leaves behind is ended before it is over, and its check with it.
    if (main && !isAlive(main)) {
      this.deps.log.info("health check was cut short: its agent ended", { agentId, checkId });
      return;
    }
    const outcome =
      reason === undefined
        ? HealthOutcome.HEALTH_OUTCOME_PASSED
        : HealthOutcome.HEALTH_OUTCOME_FAILED;
    check.result = { checkId, outcome, reason: reason ?? "", at: this.deps.clock.now() };
    this.#onResult(agentId);
  }

  async #reasonOf(
    state: AgentState,
    command: Pick<HealthCheck, "argv" | "timeoutMs">,
    check: Check,
  ): Promise<string | undefined> {
    const { log } = this.deps;
    const { agentId } = state;
    const { checkId } = check;
    try {
      const { reason, output, isCut } = await runForAgent(this.deps, state, {
        ...command,
        name: "health",
        signal: this.#stopping.signal,
        onStart: (leader) => {
          check.leader = leader;
        },
      });
      const fields = { agentId, checkId, outcome: reason ?? "passed", output, isCut };
      if (reason === undefined) log.info("health check ended", fields);
      else log.warn("health check failed", fields);
      return reason;
    } catch (error) {
      log.error("health check could not be started", { agentId, checkId, error });
      return "health: the system refused to start it";
    }
  }
}
