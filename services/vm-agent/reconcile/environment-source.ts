import type { EnvSet } from "../env-set/env-set";
import type { Fetch } from "./plan";

/** One generation as the catalog sealed it, opened and checked. */
export interface OpenedEnvironment {
  agentId: string;
  generation: bigint;
  set: EnvSet;
  fingerprint: Buffer;
}

/** One generation as it came from the catalog, or why it did not come. */
export type FetchedEnvironment =
  | OpenedEnvironment
  | { agentId: string; generation: bigint; refusal: "not-available" | "tampered" | "away" };

/** Where sets come from. */
export interface EnvironmentSource {
  /**
   * Opens what the catalog sealed before it was asked; undefined when it cannot be opened or is
   * something else: it is then fetched.
   */
  openAhead(ref: Fetch, sealedAhead: Buffer): OpenedEnvironment | undefined;
  /** One result per request, in any order. Throws UNAVAILABLE when nothing could be asked for. */
  fetch(wanted: readonly Fetch[], signal: AbortSignal): Promise<FetchedEnvironment[]>;
}
