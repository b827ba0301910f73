import type { Reload } from "../../../gen/murmur/rotation/v1/agents";
import {
  ReloadOutcome,
  ReloadTarget,
  type ReloadResult,
} from "../../../gen/murmur/rotation/v1/agents";
import type { Log } from "../../../lib/log";
import { isAlive, type ProcessIdentity, type ProcessInfo, readProcess } from "../linux/proc";
import { type AgentState, hasEnded } from "../processes/agent";
import { endHook, type HookRequest } from "../processes/run-hook";
import { sendSignal } from "../processes/send-signal";
import type { ReloadEntry, ReloadLedger, ReloadState } from "./reload-ledger";
import { runForAgent, type RunForAgentDeps } from "./run-for-agent";

export interface ReloaderDeps extends RunForAgentDeps {
  ledger: ReloadLedger;
  /** What is known of an agent on this machine. */
  stateOf(agentId: string): AgentState | undefined;
  /** The living processes of its tree. */
  processesOf(agentId: string): readonly ProcessInfo[];
  /** The generation in force; undefined for none. */
  generationOf(agentId: string): bigint | undefined;
  log: Log;
}

const DEFAULT_TIMEOUT_MS = 10_000;

/**
 * Tells an agent's programs that their environment has changed, by a signal or a hook command: once
 * per generation that changed it, one at a time for an agent, the newest only where several came
 * meanwhile. At least once: a hook that the daemon's end interrupted runs again. Nothing waits for
 * it, and no failure of it undoes anything.
 */
export class Reloader {
  readonly #running = new Map<string, Promise<void>>();
  readonly #stopping = new AbortController();
  #onResult: (agentId: string) => void = () => undefined;

  constructor(private readonly deps: ReloaderDeps) {}

  /** Called when a reload has begun or ended. */
  onResult(listener: (agentId: string) => void): void {
    this.#onResult = listener;
  }

  /** Notes, before the swap, that it changes what the agent's programs see. */
  expect(agentId: string, generation: bigint): void {
    const known = this.deps.ledger.get(agentId) ?? { due: 0n, done: 0n };
    this.deps.ledger.set(agentId, { ...known, due: generation });
  }

  /** Begins what is due and can be done now; what runs goes on and is followed by the newest. */
  look(agentId: string): void {
    if (this.#stopping.signal.aborted || this.#running.has(agentId)) return;
    if (!this.#next(agentId)) return;
    const work = this.#work(agentId)
      .catch((error: unknown) => {
        this.deps.log.error("reload failed", { agentId, error });
      })
      .finally(() => this.#running.delete(agentId));
    this.#running.set(agentId, work);
  }

  /** How the last stands; one that runs is for the newest generation that it will not end without. */
  resultOf(agentId: string): ReloadResult | undefined {
    const entry = this.deps.ledger.get(agentId);
    if (!entry?.last) return undefined;
    const { last, due } = entry;
    const generation = last.outcome === "running" && due > last.generation ? due : last.generation;
    return { ...last, generation, outcome: OUTCOMES[last.outcome] };
  }

  /** The agent whose hook a process belongs to, by the kernel's word: the session of the hook. */
  agentOf({ pid, startTime }: ProcessIdentity): string | undefined {
    const info = readProcess(pid);
    if (info?.startTime !== startTime) return undefined;
    return [...this.#running.keys()].find((agentId) => {
      const hook = this.deps.ledger.get(agentId)?.hook;
      return hook?.pid === info.session && isAlive(hook);
    });
  }

  /** The agent is over and nobody asks about it any more. */
  forget(agentId: string): void {
    this.deps.ledger.forget(agentId);
  }

  /** Ends the hooks that run; the next daemon runs them again. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#running.values());
  }

  /** What is to be told now; undefined for nothing. */
  #next(agentId: string): { entry: ReloadEntry; reload: Reload; generation: bigint } | undefined {
    const entry = this.deps.ledger.get(agentId);
    if (!entry || entry.due <= entry.done) return undefined;
    const state = this.deps.stateOf(agentId);
    const reload = this.deps.launchOf(agentId)?.settings?.reload;
    const generation = this.deps.generationOf(agentId) ?? 0n;
    // Before its swap has come through, and before the agent runs, there is nobody to be told.
    if (!state?.main || hasEnded(state) || !reload || generation < entry.due) return undefined;
    return { entry, reload, generation };
  }

  async #work(agentId: string): Promise<void> {
    const { ledger, clock } = this.deps;
    const { signal } = this.#stopping;
    for (let next = this.#next(agentId); next; next = this.#next(agentId)) {
      const { entry, reload, generation } = next;
      if (entry.hook) endHook(entry.hook);
      this.#note(agentId, { generation, outcome: "running", reason: "", at: clock.now() });
      const reason = await this.#tell(agentId, reload, generation);
      if (signal.aborted) return;
      const now = ledger.get(agentId);
      if (!now) return; // Forgotten meanwhile.
      ledger.set(agentId, { ...now, done: entry.due, hook: undefined });
      const outcome = reason === undefined ? "done" : "failed";
      this.#note(agentId, { generation, outcome, reason: reason ?? "", at: clock.now() });
    }
  }

  #note(agentId: string, last: ReloadState): void {
    const entry = this.deps.ledger.get(agentId);
    if (entry) this.deps.ledger.set(agentId, { ...entry, last });
    this.#onResult(agentId);
  }

  /** Returns why it failed, in words without values. */
  async #tell(agentId: string, reload: Reload, generation: bigint): Promise<string | undefined> {
    const state = this.deps.stateOf(agentId);
    if (!state?.main || !reload.how) return undefined;
    if (reload.how.$case === "signal") {
      const to = reload.target === ReloadTarget.RELOAD_TARGET_GROUP ? "group" : "process";
      const tree = state.adopted && this.deps.processesOf(agentId);
      const fault = sendSignal(state.main, reload.how.value as NodeJS.Signals, to, tree);
      this.deps.log.info("reload signal", { agentId, generation, fault });
      return fault === undefined ? undefined : `signal: ${fault}`;
    }
    const timeoutMs = reload.timeoutMs || DEFAULT_TIMEOUT_MS;
    try {
      return await this.#runHook(state, generation, { argv: reload.how.value.argv, timeoutMs });
    } catch (error) {
      this.deps.log.error("reload hook could not be started", { agentId, generation, error });
      return "hook: the system refused to start it";
    }
  }

  async #runHook(
    state: AgentState,
    generation: bigint,
    command: Pick<HookRequest, "argv" | "timeoutMs">,
  ): Promise<string | undefined> {
    const { ledger, log } = this.deps;
    const { agentId } = state;
    const { reason, output, isCut } = await runForAgent(this.deps, state, {
      ...command,
      name: "hook",
      signal: this.#stopping.signal,
      onStart: (hook) => {
        const entry = ledger.get(agentId);
        if (entry) ledger.set(agentId, { ...entry, hook });
      },
    });
    const fields = { agentId, generation, outcome: reason ?? "done", output, isCut };
    if (reason === undefined) log.info("reload hook ended", fields);
    else log.warn("reload hook failed", fields);
    return reason;
  }
}

const OUTCOMES: Record<ReloadState["outcome"], ReloadOutcome> = {
  running: ReloadOutcome.RELOAD_OUTCOME_RUNNING,
  done: ReloadOutcome.RELOAD_OUTCOME_DONE,
  failed: ReloadOutcome.RELOAD_OUTCOME_FAILED,
};
