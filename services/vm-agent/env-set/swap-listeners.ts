/** Who wants to hear of the swaps of an agent, in this process. */
export interface SwapListeners {
  /** Calls `listener` after each swap of the agent until what it returns is called. */
  add(agentId: string, listener: () => void): () => void;
  /** A set has come in force. */
  tell(agentId: string): void;
}

export function createSwapListeners(): SwapListeners {
  const all = new Map<string, Set<() => void>>();
  return {
    add(agentId, listener) {
      const ofAgent = all.get(agentId) ?? new Set();
      all.set(agentId, ofAgent.add(listener));
      return () => {
        ofAgent.delete(listener);
        if (ofAgent.size === 0 && all.get(agentId) === ofAgent) all.delete(agentId);
      };
    },
    tell(agentId) {
      for (const listener of all.get(agentId) ?? []) listener();
    },
  };
}
