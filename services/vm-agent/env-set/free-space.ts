import { type Clock } from "../../../lib/clock";
import { EnvSetError } from "./env-set-error";
import { type PinnedDirectory } from "./pinned-directory";

const TRUSTED_MS = 50;

/**
 * Checks for free space before a swap, since a full file system is otherwise found out half-way,
 * file by file. A swap of many agents asks once in a while: it lives on half of what was free then.
 * Others may fill the disk meanwhile; then the writing itself fails, and leaves the old set whole.
 */
export class FreeSpace {
  readonly #clock: Pick<Clock, "monotonicMs">;
  #budgetBytes = 0;
  #trustedUntilMs = -1;

  constructor(clock: Pick<Clock, "monotonicMs">) {
    this.#clock = clock;
  }

  /** Throws EnvSetError `no_space` when `bytes` do not fit. */
  require(directory: PinnedDirectory, bytes: number): void {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs >= this.#trustedUntilMs || bytes > this.#budgetBytes) {
      const freeBytes = directory.freeBytes();
      if (freeBytes < bytes) {
        this.#trustedUntilMs = -1;
        throw new EnvSetError("no_space", `${directory.label}: less than ${bytes} bytes are free`);
      }
      this.#budgetBytes = freeBytes / 2;
      this.#trustedUntilMs = nowMs + TRUSTED_MS;
    }
    this.#budgetBytes -= bytes;
  }
}
