import type { SecretKind } from "../domain/environment-set";

/** One generation of one agent. */
export interface AgentGeneration {
  agentId: string;
  generation: bigint;
}

/** What a generation has of a secret. */
export interface FoundPin extends AgentGeneration {
  kind: SecretKind;
  /** 0: the record of the version is gone. */
  version: bigint;
}

/** What generations hold, without values. */
export interface PinStore {
  /**
   * The version of this name that each of the generations pins. `unknown` are those that are not
   * kept; one that is in neither does not have it. `hadAgentIds` are the agents that had it in any
   * generation, kept or not.
   */
  find(
    tenantId: string,
    secretName: string,
    generations: readonly AgentGeneration[],
  ): Promise<{ pins: FoundPin[]; unknown: AgentGeneration[]; hadAgentIds: string[] }>;
}
