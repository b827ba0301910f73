import { type Socket } from "node:net";
import { type Clock } from "../../../lib/clock";
import { deadlineExceeded, isAppError, permissionDenied } from "../../../lib/errors";
import { type Log } from "../../../lib/log";
import { type Peer } from "../linux/peer";
import { type CallerFacts, identifyCaller } from "./identify-caller";
import { dispatch, type LocalHandlers } from "./local-handlers";
import { formatError, formatResult, type ParsedLine, parseLine } from "./protocol";
import { readLines } from "./read-lines";

export interface ConnectionLimits {
  /** Requests on one connection. */
  requests: number;
  lineBytes: number;
  /** From the last answer to the whole next request. */
  requestMs: number;
  /** From a request to its answer, handed to the caller's kernel. */
  answerMs: number;
}

export interface ConnectionDeps extends CallerFacts {
  socket: Socket;
  peer: Peer;
  handlers: LocalHandlers;
  clock: Clock;
  log: Log;
  limits: ConnectionLimits;
}

/** One connection of a local caller: a request, its answer, the next request. */
export class LocalConnection {
  readonly #gone = new AbortController();

  constructor(private readonly deps: ConnectionDeps) {
    deps.socket.once("close", () => {
      this.#gone.abort();
    });
  }

  destroy(): void {
    this.deps.socket.destroy();
  }

  /** Says why, and ends; never rejects. */
  async refuse(error: unknown): Promise<void> {
    this.#end(formatError(null, error));
    await this.#letGo();
  }

  /** The same for one too many to wait for: the caller may hear of the closed connection only. */
  refuseAtOnce(error: unknown): void {
    const { socket } = this.deps;
    socket.end(formatError(null, error), () => socket.destroy());
  }

  /** Serves until the caller or a limit ends it; never rejects. */
  async serve(): Promise<void> {
    const { socket, limits, log } = this.deps;
    // A fault in what was read still has to be answered, so it must not destroy the socket.
    const chunks: AsyncIterable<Buffer> = socket.iterator({ destroyOnReturn: false });
    const lines = readLines(chunks, limits.lineBytes);
    try {
      for (let served = 0; served < limits.requests; served++) {
        const line = await this.#within(limits.requestMs, () => lines.next());
        if (line.done) break;
        await this.#within(limits.answerMs, (signal) => this.#serve(line.value, signal));
      }
      this.#end("");
    } catch (error) {
      if (socket.destroyed) return;
      if (!isAppError(error)) log.warn("local connection failed", { error });
      this.#end(formatError(null, error));
    } finally {
      await this.#letGo();
    }
  }

  /**
   * Writes the last words, and reads what still comes for nobody: closing over bytes that were not
   * read fails the caller's next call, and it would never see those words.
   */
  #end(words: string): void {
    const { socket } = this.deps;
    socket.end(words);
    // Of a read that was given up; while it listens, nothing flows.
    socket.removeAllListeners("readable");
    socket.resume();
  }

  /** Waits for the caller to go; one that does not take what was written for it has to, in time. */
  async #letGo(): Promise<void> {
    const { socket, clock, limits } = this.deps;
    await clock.sleep(limits.requestMs, this.#gone.signal);
    socket.destroy();
  }

  async #serve(line: string, signal: AbortSignal): Promise<void> {
    const parsed = parseLine(line);
    const answer = await this.#answer(parsed, signal);
    const { socket } = this.deps;
    await new Promise<void>((resolve, reject) => {
      socket.write(answer, (error) => (error ? reject(error) : resolve()));
    });
  }

  async #answer(parsed: ParsedLine, signal: AbortSignal): Promise<string> {
    if ("fault" in parsed) return formatError(parsed.id, parsed.fault);
    const { peer, handlers, log } = this.deps;
    // Asked anew for every request: the process may have ended and left the connection to others.
    const caller = identifyCaller(peer, this.deps);
    if (!caller) throw permissionDenied("the caller is not a process of an agent any more");
    try {
      return formatResult(parsed.id, await dispatch(handlers, caller, parsed.request, signal));
    } catch (error) {
      if (!isAppError(error))
        log.error("local request failed", { error, method: parsed.request.method });
      return formatError(parsed.id, error);
    }
  }

  /** Runs a step under its deadline; when that passes, the step's signal aborts and this throws. */
  async #within<T>(limitMs: number, step: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const over = new AbortController();
    const signal = AbortSignal.any([over.signal, this.#gone.signal]);
    const timer = new AbortController();
    const work = step(signal).then((value) => ({ value }));
    const late = this.deps.clock.sleep(limitMs, timer.signal);
    try {
      const done = await Promise.race([work, late]);
      if (done) return done.value;
      over.abort();
      throw deadlineExceeded("the time for this request is over");
    } finally {
      timer.abort();
      // When it is late, the step settles later and unheard.
      void Promise.allSettled([work]);
    }
  }
}
