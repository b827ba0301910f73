import type { EnvSet } from "../env-set/env-set";
import type { Fetch } from "./plan";

/** One generation as it came from the catalog, opened and checked, or why it did not come. */
export type FetchedEnvironment =
  | { agentId: string; generation: bigint; set: EnvSet; fingerprint: Buffer }
  | { agentId: string; generation: bigint; refusal: "not-available" | "tampered" | "away" };

/** Where sets come from. */
export interface EnvironmentSource {
  /**
   * Opens what the catalog sealed before it was asked; undefined when it cannot be opened or is
   * something else: it is then fetched.
   */
  openAhead(ref: Fetch, sealedAhead: Buffer): FetchedEnvironment | undefined;
  /** One result per request, in any order. Throws UNAVAILABLE when nothing could be asked for. */
  fetch(wanted: readonly Fetch[], signal: AbortSignal): Promise<FetchedEnvironment[]>;
}
