import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { readIfPresent, replaceFile } from "./processes/small-file";

/** One life of the daemon. */
export interface Incarnation {
  /** 16 random bytes. */
  id: Buffer;
  /** Counts up with every start on this machine: what an earlier life said is ignored. */
  number: bigint;
}

/** Begins a new life: the number is durable before anything is said under it. */
export function beginIncarnation(stateDir: string): Incarnation {
  const file = join(stateDir, "incarnation");
  const last = /^\d{1,18}\n$/.exec(readIfPresent(file) ?? "")?.[0] ?? "0";
  const number = BigInt(last.trim()) + 1n;
  replaceFile(file, `${number}\n`);
  return { id: randomBytes(16), number };
}
