/**
 * Builds a file's bytes without ever making a string of a value: strings stay in the heap until
 * they are collected, buffers can be wiped. What it outgrows it wipes.
 */
export class ByteWriter {
  #buffer: Buffer;
  #length = 0;

  constructor(expectedBytes: number) {
    this.#buffer = Buffer.allocUnsafeSlow(Math.max(64, expectedBytes));
  }

  /** Text of ours: names, keywords, punctuation. Never a value. */
  text(text: string): this {
    this.#reserve(text.length * 3);
    const start = this.#length;
    // Most of it is short and ASCII, for which a call into native code costs more than it does.
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code >= 0x80) {
        this.#length = start + this.#buffer.write(text, start, "utf8");
        return this;
      }
      this.#buffer[start + at] = code;
    }
    this.#length = start + text.length;
    return this;
  }

  byte(byte: number): this {
    this.#reserve(1);
    this.#buffer[this.#length++] = byte;
    return this;
  }

  bytes(source: Uint8Array, start = 0, end = source.length): this {
    this.#reserve(end - start);
    this.#buffer.set(
      start === 0 && end === source.length ? source : source.subarray(start, end),
      this.#length,
    );
    this.#length += end - start;
    return this;
  }

  /** The bytes so far. The writer is not used afterwards. */
  take(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2));
    grown.set(this.#buffer.subarray(0, this.#length));
    this.#buffer.fill(0);
    this.#buffer = grown;
  }
}
