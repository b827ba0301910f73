import type { OpenOutcome } from "../domain/environment";

/** Which generation. */
export interface GenerationRef {
  agentId: string;
  generation: bigint;
}

/** A generation that was looked up and not opened yet. */
export interface EnvironmentHandle extends GenerationRef {
  /** Bytes of names and values together; 0 when it will be refused. */
  sizeBytes: number;
  /** Decrypts it; never throws for a refusal. */
  open(): Promise<OpenOutcome>;
}

/** Gives VMs the generations that are bound to them. */
export interface EnvironmentOpener {
  /**
   * Looks up generations of this VM's agents in one statement; the answer is in the order of the
   * question. Opening is apart, so that an answer that is full decrypts no more. Throws UNAVAILABLE
   * when PostgreSQL is away.
   */
  find(
    tenantId: string,
    vmId: string,
    refs: readonly GenerationRef[],
  ): Promise<EnvironmentHandle[]>;
}
