import { type Readable } from "node:stream";
import { type Clock } from "../../../lib/clock";

/** Between two reads of what nobody wants: a flood takes its writer's time, not the daemon's. */
const FLOOD_PAUSE_MS = 5;

/** Keeps the first bytes of some streams and reads the rest to nowhere, slowly. */
export class BoundedOutput {
  readonly #chunks: Buffer[] = [];
  readonly #closed: Promise<unknown>[] = [];
  #bytes = 0;
  #isCut = false;

  constructor(
    private readonly maxBytes: number,
    private readonly clock: Clock,
  ) {}

  take(stream: Readable): void {
    this.#closed.push(new Promise((resolve) => stream.once("close", resolve)));
    // What ends a stream early ends what is read of it.
    stream.on("error", () => undefined);
    stream.on("data", (chunk: Buffer) => {
      const room = this.maxBytes - this.#bytes;
      const kept = chunk.subarray(0, room);
      this.#bytes += kept.length;
      if (kept.length > 0) this.#chunks.push(kept);
      if (kept.length === chunk.length) return;
      this.#isCut = true;
      stream.pause();
      void this.clock.sleep(FLOOD_PAUSE_MS).then(() => stream.resume());
    });
  }

  /** Resolves when every stream has ended. */
  get closed(): Promise<unknown> {
    return Promise.all(this.#closed);
  }

  read(): { output: Buffer; isCut: boolean } {
    return { output: Buffer.concat(this.#chunks), isCut: this.#isCut };
  }
}
