import type {
  ComingGeneration,
  VmDesiredState,
  VmHello,
  VmUpdate,
} from "../../../gen/murmur/rotation/v1/vm_sync";

/**
 * Keeps this machine in touch with the rotation service. Both implementations lead to the same
 * state read, and nothing that they carry is needed for correctness: after any break the next
 * hello tells everything anew, and the answer is the whole desired state.
 */
export interface WakeUps {
  /** Works until the signal aborts, and comes back by itself after every fault. */
  run(signal: AbortSignal): Promise<void>;
  /** Sends evidence now, or leaves it to the next hello. */
  send(update: VmUpdate): void;
  /** Asks for the whole state again, as the timer does. */
  refresh(): void;
}

/** How much a hello says. */
export type HelloParts = "whole" | "standing";

/** What a source of wake-ups is given. */
export interface Listener {
  /**
   * This machine's whole truth, made anew for each hello; `standing` leaves out the agents' reports,
   * which take a look at every process.
   */
  hello(parts?: HelloParts): VmHello;
  /** What failed and has not been mended: follows each hello. */
  failures(): VmUpdate;
  onDesired(state: VmDesiredState): void;
  /** Told why a contact failed; returns how long to wait at least before the next, in ms. */
  onFailure(error: unknown): number;
  /** Generations that may become desired, for fetching ahead; nothing is believed of it. */
  onComing(coming: readonly ComingGeneration[]): void;
}
