import { CredentialKind } from "../../gen/murmur/rotation/v1/credentials";
import { type Run } from "../command";

/** What differs between `murmur keys` and `murmur tokens`. */
export interface KeyKind {
  kind: CredentialKind;
  /** The first word of its commands. */
  group: "keys" | "tokens";
  /** As in sentences. */
  word: string;
}

export const API_KEY: KeyKind = {
  kind: CredentialKind.CREDENTIAL_KIND_API_KEY,
  group: "keys",
  word: "API key",
};
export const AGENT_TOKEN: KeyKind = {
  kind: CredentialKind.CREDENTIAL_KIND_AGENT_TOKEN,
  group: "tokens",
  word: "agent token",
};

/** Of commands whose answer is a value: giving up may lose it. */
export const PATIENCE_MS = 15_000;

/** A command that both have. */
export type RunOf = (kind: KeyKind) => Run;
