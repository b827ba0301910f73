import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { ErrorReason } from "../../gen/murmur/errors/v1/error_reason";
import { isAppError } from "../../lib/errors";
import type { Log } from "../../lib/log";
import { backoffMs } from "../../lib/retry";
import { readIfPresent, replaceFile } from "./processes/small-file";

/** One life of the daemon. */
export interface Incarnation {
  /** 16 random bytes. */
  readonly id: Buffer;
  /**
   * Counts up with every start on this machine: what an earlier life said is ignored. It goes up
   * within a life, too, when the machine was restored from an older disk image.
   */
  readonly number: bigint;
  /** Notes that the rotation service has taken this life for the VM's. */
  accepted(): void;
  /** Takes in why a contact failed; returns how long to wait at least before the next hello. */
  failed(error: unknown): number;
}

export interface IncarnationDeps {
  stateDir: string;
  /** How often a life says hello; a clone has the same setting. */
  reconcileEveryMs: number;
  log: Log;
}

/** A life is over when it was silent for this long, and for so many of its hellos. */
const SILENT_MS = 300_000;
const MISSED_HELLOS = 4;
const LOST = { initialMs: 5_000, maxMs: 60_000 };
/** What an int64 holds. */
const HIGHEST = 2n ** 63n - 1n;

/**
 * Begins a new life: the number is durable before anything is said under it.
 *
 * A life that was never accepted goes on above the number that the service knows: the disk was
 * restored from an older image. One that was accepted has lost its place to another machine with
 * the same identity, a clone: it says so, waits, and takes the place back only when the other has
 * gone silent. Otherwise the two would take it from each other for ever.
 */
export function beginIncarnation(deps: IncarnationDeps): Incarnation {
  const { stateDir, reconcileEveryMs, log } = deps;
  const silentMs = Math.max(SILENT_MS, MISSED_HELLOS * reconcileEveryMs);
  const file = join(stateDir, "incarnation");
  const last = /^\d{1,19}\n$/.exec(readIfPresent(file) ?? "")?.[0] ?? "0";
  let number = BigInt(last.trim());
  let isAccepted = false;
  let losses = 0;
  const goAbove = (known: bigint) => {
    replaceFile(file, `${known + 1n}\n`);
    number = known + 1n;
    isAccepted = false;
  };
  goAbove(number);
  return {
    id: randomBytes(16),
    get number() {
      return number;
    },
    accepted() {
      isAccepted = true;
      losses = 0;
    },
    failed(error) {
      const other = supersededBy(error);
      if (!other) return 0;
      const fields = { incarnation: `${number}`, known: `${other.number}` };
      const isOver = !isAccepted || other.silentMs >= silentMs;
      if (isOver && other.number < HIGHEST) {
        log.warn("the rotation service knows a later life of this VM: going on above it", fields);
        goAbove(other.number);
        return 0;
      }
      log.warn("another machine with this VM's identity has taken its place", fields);
      return backoffMs(losses++, LOST);
    },
  };
}

function supersededBy(error: unknown): { number: bigint; silentMs: number } | undefined {
  if (!isAppError(error)) return undefined;
  if (error.reason !== ErrorReason.ERROR_REASON_INCARNATION_SUPERSEDED) return undefined;
  const { incarnation_number: number = "", silent_seconds: silent = "" } = error.metadata;
  if (!/^\d{1,19}$/.test(number)) return undefined;
  return { number: BigInt(number), silentMs: /^\d+$/.test(silent) ? Number(silent) * 1000 : 0 };
}
