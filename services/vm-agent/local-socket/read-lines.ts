import { isUtf8 } from "node:buffer";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { invalid, resourceExhausted } from "../../../lib/errors";

const NEWLINE = 0x0a;
const FIRST_BYTES = 4096;

/**
 * Splits a stream into lines of at most `maxBytes`, and reads no further than it is asked to. A
 * last line without an end counts as none. Throws RESOURCE_EXHAUSTED for a longer line, and
 * INVALID_ARGUMENT for one that is not UTF-8. However small the pieces are, it holds no more than
 * `maxBytes` and the piece at hand.
 */
export async function* readLines(
  chunks: AsyncIterable<Buffer>,
  maxBytes: number,
): AsyncGenerator<string, void, undefined> {
  const line = new LineBuffer(maxBytes);
  for await (const chunk of chunks) {
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
      line.append(chunk.subarray(from, end));
      from = end + 1;
      yield line.take();
    }
    line.append(chunk.subarray(from));
  }
}

/** Bytes that arrive in pieces; grows by doubling, up to a limit. */
class LineBuffer {
  #bytes = Buffer.alloc(FIRST_BYTES);
  #length = 0;

  constructor(private readonly maxBytes: number) {}

  append(piece: Buffer): void {
    const length = this.#length + piece.length;
    if (length > this.maxBytes) throw tooLong(this.maxBytes);
    if (length > this.#bytes.length) {
      const grown = Buffer.alloc(Math.max(length, this.#bytes.length * 2));
      this.#bytes.copy(grown);
      this.#bytes = grown;
    }
    piece.copy(this.#bytes, this.#length);
    this.#length = length;
  }

  take(): string {
    const line = this.#bytes.subarray(0, this.#length);
    this.#length = 0;
    if (!isUtf8(line)) throw invalid("request", "request must be UTF-8");
    return line.toString("utf8");
  }
}

function tooLong(maxBytes: number): Error {
  const reason = ErrorReason.ERROR_REASON_MESSAGE_TOO_LARGE;
  return resourceExhausted(reason, `request exceeds ${maxBytes} bytes`);
}
