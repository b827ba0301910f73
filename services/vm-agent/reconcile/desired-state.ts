import type { DesiredAgent, VmDesiredState } from "../../../gen/murmur/rotation/v1/vm_sync";

/** What this VM should have, as far as it was told. */
export class DesiredState {
  #agents = new Map<string, DesiredAgent>();
  #isComplete = false;

  /** Whether a whole state was heard since the start. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  get agents(): ReadonlyMap<string, DesiredAgent> {
    return this.#agents;
  }

  /**
   * Takes a whole state or a delta. Of two messages about one agent the later generation counts,
   * whichever came first; a wish to end is never taken back.
   */
  take(state: VmDesiredState): void {
    const taken = state.agents.map((agent) => newer(this.#agents.get(agent.agentId), agent));
    if (state.complete) {
      this.#agents = new Map();
      this.#isComplete = true;
    }
    for (const agent of taken) this.#agents.set(agent.agentId, agent);
  }
}

function newer(known: DesiredAgent | undefined, told: DesiredAgent): DesiredAgent {
  if (!known) return told;
  const wish = known.wish > told.wish ? known.wish : told.wish;
  const phase = known.phase > told.phase ? known.phase : told.phase;
  return known.generation > told.generation ? { ...known, wish, phase } : { ...told, wish, phase };
}
