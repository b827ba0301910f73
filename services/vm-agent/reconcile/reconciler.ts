import type {
  Ack,
  AgentReport,
  DesiredAgent,
  VmDesiredState,
} from "../../../gen/murmur/rotation/v1/vm_sync";
import { AckOutcome } from "../../../gen/murmur/rotation/v1/vm_sync";
import { AgentPhase } from "../../../gen/murmur/rotation/v1/agents";
import type { Clock } from "../../../lib/clock";
import { isAppError } from "../../../lib/errors";
import type { Log } from "../../../lib/log";
import { backoffMs } from "../../../lib/retry";
import { runUnder } from "../../../lib/trace";
import { hasEnded } from "../processes/agent";
import type { AgentLives } from "./agent-lives";
import { reportEnd } from "./agent-reports";
import { DesiredState } from "./desired-state";
import type { EnvWriter } from "./env-writer";
import type { Coming, Foresight } from "./foresight";
import { planWork, type Fetch, type LocalAgent, type Plan } from "./plan";
import { createSwapMetrics } from "./swap-metrics";
import type { SwapPacer } from "./swap-pacer";

export interface ReconcilerDeps {
  source: Foresight;
  writer: EnvWriter;
  lives: AgentLives;
  pacer: SwapPacer;
  clock: Clock;
  log: Log;
  /** Takes evidence to the rotation service; what is lost is told again by the next hello. */
  send(update: { acks: Ack[]; agents: AgentReport[] }): void;
}

const MAX_BATCH = 500;
/** So many sets are written before they are wanted: whatever else happens meanwhile waits for it. */
const MAX_STAGED = 50;
const RETRY = { initialMs: 100, maxMs: 5_000 };

/**
 * Brings this machine to the desired state, one bounded pass at a time. It is woken by news, by an
 * agent's end, or by its own timer, and always compares everything: a lost, repeated or reordered
 * wake-up costs time only. Old sets stay whole whatever fails.
 */
export class Reconciler {
  readonly #desired = new DesiredState();
  readonly #failures = new Map<string, Ack>();
  readonly #ended = new Map<string, AgentReport>();
  readonly #metrics = createSwapMetrics();
  /** The call that changed the state last, and when that was heard. */
  #news = { traceparent: "", atMs: 0 };
  #wake = new AbortController();
  #attempts = 0;
  #running: AbortSignal | undefined;

  constructor(private readonly deps: ReconcilerDeps) {}

  /** What is desired of each agent of this machine, as far as it was told. */
  get desired(): ReadonlyMap<string, DesiredAgent> {
    return this.#desired.agents;
  }

  /** Takes a whole state or a delta and wakes the loop. */
  take(state: VmDesiredState): void {
    this.#desired.take(state);
    this.#news = { traceparent: state.traceparent, atMs: this.deps.clock.monotonicMs() };
    this.wake();
  }

  /** Gets ahead what may become desired, of agents that live here. */
  foresee(coming: readonly Coming[]): void {
    if (!this.#running) return;
    const useful = coming.filter(({ agentId, generation }) => {
      const agent = this.#desired.agents.get(agentId);
      const isLiving = this.deps.lives.lifeOf(agentId) === "living";
      return agent && isLiving && generation > agent.generation;
    });
    const opened = this.deps.source.foresee(useful.slice(0, MAX_BATCH), this.#running);
    for (const environment of opened.slice(0, MAX_STAGED)) {
      const agent = this.#desired.agents.get(environment.agentId);
      const isSoon = this.deps.pacer.delayMs(environment.agentId) === 0;
      if (agent && isSoon) this.deps.writer.stage(agent, environment);
    }
  }

  /** Asks for a pass as soon as the running one is over. */
  wake(): void {
    this.#wake.abort();
  }

  /** Compares the files of every agent with what was written, and repairs in the next pass. */
  verifyFiles(): void {
    this.deps.writer.inspect(this.#desired.agents.keys());
    this.wake();
  }

  /** What failed and has not been mended since; goes out after every hello. */
  failures(): Ack[] {
    return [...this.#failures.values()];
  }

  /** Reports of agents that are over without ever having run here. */
  endReports(): AgentReport[] {
    return [...this.#ended.values()];
  }

  /** Works until the signal aborts; a pass that fails is repeated after a growing wait. */
  async run(signal: AbortSignal): Promise<void> {
    const stop = () => {
      this.#wake.abort();
    };
    signal.addEventListener("abort", stop, { once: true });
    this.#running = signal;
    while (!signal.aborted) {
      this.#wake = new AbortController();
      const waitMs = await this.#passOrBackoff(signal);
      // A wake-up during the pass has aborted this pass' signal, and the sleep returns at once.
      await this.deps.clock.sleep(waitMs, this.#wake.signal);
    }
    signal.removeEventListener("abort", stop);
  }

  async #passOrBackoff(signal: AbortSignal): Promise<number> {
    try {
      const waitMs = await this.#pass(signal);
      this.#attempts = this.#failures.size > 0 ? this.#attempts + 1 : 0;
      return this.#failures.size > 0 ? Math.min(waitMs, backoffMs(this.#attempts, RETRY)) : waitMs;
    } catch (error) {
      if (signal.aborted) return 0;
      if (!isAppError(error)) this.deps.log.error("reconcile pass failed", { error });
      else this.deps.log.warn("cannot reach the catalog", { error });
      return backoffMs(this.#attempts++, RETRY);
    }
  }

  /** Returns how long nothing is to be done. */
  async #pass(signal: AbortSignal): Promise<number> {
    const plan = planWork(this.#desired.agents, this.#desired.isComplete, this.#local());
    this.#reportUnstarted(plan);
    this.deps.lives.end(plan.end);
    const { now, laterMs } = this.#pace(plan.fetch);
    if (now.length > 0) await this.#fetchAndSwapTraced(now, signal);
    for (const { agentId } of now) this.deps.writer.prune(agentId);
    this.#start(plan.start);
    for (const agentId of plan.forget) this.#forget(agentId);
    return laterMs;
  }

  #local(): Map<string, LocalAgent> {
    const local = new Map<string, LocalAgent>();
    const { lives, writer } = this.deps;
    for (const agentId of new Set([...this.#desired.agents.keys(), ...lives.ids()])) {
      const applied = writer.appliedOf(agentId);
      const isDamaged = writer.isDamaged(agentId);
      const life = this.#ended.has(agentId) ? "ended" : lives.lifeOf(agentId);
      local.set(agentId, { agentId, applied, isDamaged, life });
    }
    return local;
  }

  #pace(wanted: readonly Fetch[]): { now: Fetch[]; laterMs: number } {
    const now: Fetch[] = [];
    let laterMs = 60_000;
    for (const fetch of wanted) {
      const delayMs = this.deps.pacer.delayMs(fetch.agentId);
      if (delayMs === 0 && now.length < MAX_BATCH) now.push(fetch);
      else laterMs = Math.min(laterMs, delayMs);
    }
    return { now, laterMs };
  }

  #fetchAndSwapTraced(wanted: readonly Fetch[], signal: AbortSignal): Promise<void> {
    const span = { name: "fetch and swap", attributes: { "murmur.agents": wanted.length } };
    return runUnder(this.#news.traceparent, span, () => this.#fetchAndSwap(wanted, signal));
  }

  async #fetchAndSwap(wanted: readonly Fetch[], signal: AbortSignal): Promise<void> {
    const acks: Ack[] = [];
    for (const fetched of await this.deps.source.fetch(wanted, signal)) {
      const agent = this.#desired.agents.get(fetched.agentId);
      if (!agent || this.deps.lives.lifeOf(fetched.agentId) === "ended") continue;
      const ack = this.deps.writer.apply(agent, fetched);
      acks.push(ack);
      if (ack.outcome === AckOutcome.ACK_OUTCOME_FAILED) {
        this.#failures.set(ack.agentId, ack);
        this.#metrics.failed();
        continue;
      }
      this.#metrics.swapped(this.deps.clock.monotonicMs() - this.#news.atMs);
      this.#failures.delete(ack.agentId);
      this.deps.pacer.count(ack.agentId);
    }
    if (acks.length > 0) this.deps.send({ acks, agents: [] });
  }

  /** Starting may take seconds; nobody's swap waits for it. */
  #start(agents: readonly DesiredAgent[]): void {
    for (const agent of agents.filter(({ agentId }) => this.deps.writer.appliedOf(agentId))) {
      void this.deps.lives.start(agent).then((refusal) => {
        if (refusal === undefined) return;
        this.#markEnded(agent.agentId, AgentPhase.AGENT_PHASE_FAILED, refusal);
        this.wake();
      });
    }
  }

  #reportUnstarted({ lost, neverStarted }: Plan): void {
    for (const { agentId } of lost) {
      this.#markEnded(agentId, AgentPhase.AGENT_PHASE_FAILED, "this machine has no record of it");
    }
    for (const { agentId } of neverStarted) {
      this.#markEnded(
        agentId,
        AgentPhase.AGENT_PHASE_CANCELLED,
        "it was ended before it was started",
      );
    }
  }

  #markEnded(agentId: string, phase: AgentPhase, why: string): void {
    const report = reportEnd(agentId, phase, why);
    this.#ended.set(agentId, report);
    this.deps.writer.remove(agentId);
    this.deps.send({ acks: [], agents: [report] });
  }

  /** An agent that ended loses its files at once; what is kept of it goes when nobody asks any more. */
  agentChanged(agentId: string): void {
    const state = this.deps.lives.stateOf(agentId);
    if (state && hasEnded(state)) {
      this.deps.writer.remove(agentId);
      this.#failures.delete(agentId);
    }
    this.wake();
  }

  #forget(agentId: string): void {
    this.#ended.delete(agentId);
    this.#failures.delete(agentId);
    this.deps.pacer.forget(agentId);
    this.deps.writer.remove(agentId);
    this.deps.lives.forget(agentId);
  }
}
