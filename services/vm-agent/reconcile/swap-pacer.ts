import type { Clock } from "../../../lib/clock";

const WINDOW_MS = 1_000;

/**
 * Allows each agent so many swaps in any second. A storm of rekeys then costs one swap per slot,
 * always of the newest generation; a single rekey never waits.
 */
export class SwapPacer {
  readonly #recent = new Map<string, number[]>();

  constructor(
    private readonly clock: Clock,
    private readonly maxPerSecond: number,
  ) {}

  /** Milliseconds until this agent may be swapped; 0: at once. */
  delayMs(agentId: string): number {
    const recent = this.#within(agentId);
    const oldest = recent[0];
    if (recent.length < this.maxPerSecond || oldest === undefined) return 0;
    return Math.max(1, Math.ceil(oldest + WINDOW_MS - this.clock.monotonicMs()));
  }

  /** Counts a swap. */
  count(agentId: string): void {
    this.#recent.set(agentId, [...this.#within(agentId), this.clock.monotonicMs()]);
  }

  forget(agentId: string): void {
    this.#recent.delete(agentId);
  }

  #within(agentId: string): number[] {
    const sinceMs = this.clock.monotonicMs() - WINDOW_MS;
    return (this.#recent.get(agentId) ?? []).filter((atMs) => atMs > sinceMs);
  }
}
