import type { Sensitive } from "../../../lib/sensitive";

/** One variable of a set, open. */
export interface EnvironmentVariable {
  name: string;
  value: Sensitive<Buffer>;
  asFile: boolean;
}

/** One generation of one agent, open: what is delivered to its VM and nowhere else. */
export interface OpenedEnvironment {
  agentId: string;
  generation: bigint;
  /** Sorted by name. */
  variables: EnvironmentVariable[];
  /** Names of variables that earlier generations had and this one has not, sorted. */
  unsetNames: readonly string[];
  fingerprintKey: Sensitive<Buffer>;
  /** The lowest generation that may still be fetched. */
  floor: bigint;
}

/**
 * Why a generation is not given: `not-available` (unknown, another VM's, below the floor, pruned),
 * `tampered` (its row or a value fails its MAC), `away` (a dependency is).
 */
export type OpenRefusal = "not-available" | "tampered" | "away";

export type OpenOutcome =
  { kind: "opened"; environment: OpenedEnvironment } | { kind: "refused"; refusal: OpenRefusal };
