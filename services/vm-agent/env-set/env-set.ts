import { type Sensitive } from "../../../lib/sensitive";

/** Where a value goes: into the environment, or into a file whose path the environment holds. */
export type Delivery = "environment" | "file";

export interface EnvVariable {
  /** `[A-Z][A-Z0-9_]*`. */
  name: string;
  value: Sensitive<Uint8Array>;
  delivery: Delivery;
}

/** One generation of one agent, as the catalog delivered it: immutable and whole. */
export interface EnvSet {
  agentId: string;
  generation: bigint;
  /** Sorted by name, each name once. */
  variables: readonly EnvVariable[];
  /**
   * Environment names that an earlier generation had and this one has not: cumulative, since
   * readers skip generations. A secret delivered by file counts as `NAME_FILE`.
   */
  unset: readonly string[];
  /** The catalog's keyed tag of the set, an opaque word; what verification compares. */
  fingerprint: string;
}

/** What a form could not carry, and why; the reason never holds any of the value. */
export interface Omission {
  form: FormName;
  name: string;
  reason: string;
}

/** The files that carry the environment, each in one dialect. */
export type FormName = "env" | "env.sh" | "env.json" | "env.docker";

/** One name of the environment as a form writes it, opened. It lives inside env-set only. */
export interface Entry {
  name: string;
  value: Uint8Array;
}

const NAME = /^[A-Z][A-Z0-9_]*$/;
const AGENT_ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/;

/** Whether `name` may be a name of an environment, and so also a file's name below `files/`. */
export function isEnvName(name: string): boolean {
  return NAME.test(name);
}

/** Whether `agentId` may name an agent's directory. */
export function isAgentId(agentId: string): boolean {
  return AGENT_ID.test(agentId);
}
