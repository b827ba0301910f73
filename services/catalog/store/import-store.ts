import type { Caller } from "../audit";
import type { Secret } from "../domain/secret";
import type { SealedWrite } from "./secret-store";

export type ImportOutcome =
  /** In the order of the writes. */
  | { kind: "written"; secrets: Secret[] }
  /** These and other secrets fill the same environment variable. */
  | { kind: "variable-taken"; names: string[] }
  /** An import with this request id was done before. */
  | { kind: "repeated"; dataKeyId: string; bodyHash: Buffer; secrets: Secret[] };

export interface Import {
  writes: readonly SealedWrite[];
  /** Nothing of it stays. */
  isDryRun: boolean;
  dataKeyId: string;
  request: { id: string; bodyHash: Buffer } | undefined;
}

/** Writes many tenant secrets, all or none, in one transaction with their audit rows. */
export interface ImportStore {
  write(caller: Caller, all: Import): Promise<ImportOutcome>;
}
