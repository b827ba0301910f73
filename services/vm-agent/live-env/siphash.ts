/** The four words of the state; each as its low and its high half. */
class State {
  readonly #halves = new DataView(new ArrayBuffer(32));

  low(word: number): number {
    return this.#halves.getUint32(word * 8, true);
  }

  high(word: number): number {
    return this.#halves.getUint32(word * 8 + 4, true);
  }

  /** Only the lower 32 bits of each half count. */
  set(word: number, low: number, high: number): void {
    this.#halves.setUint32(word * 8, low, true);
    this.#halves.setUint32(word * 8 + 4, high, true);
  }

  xor(word: number, low: number, high: number): void {
    this.set(word, this.low(word) ^ low, this.high(word) ^ high);
  }

  rounds(count: number): void {
    for (let i = 0; i < count; i++) {
      this.#mix(0, 1, 13);
      this.set(0, this.high(0), this.low(0));
      this.#mix(2, 3, 16);
      this.#mix(0, 3, 21);
      this.#mix(2, 1, 17);
      this.set(2, this.high(2), this.low(2));
    }
  }

  /** Adds `from` to `to`, then rotates `from` left by less than 32 bits and xors the sum to it. */
  #mix(to: number, from: number, by: number): void {
    const [low, high] = [this.low(from), this.high(from)];
    const sum = this.low(to) + low;
    const carried = this.high(to) + high + (sum > 0xffffffff ? 1 : 0);
    this.set(to, sum, carried);
    this.set(from, (low << by) | (high >>> (32 - by)), (high << by) | (low >>> (32 - by)));
    this.xor(from, sum, carried);
  }
}

/**
 * SipHash-2-4 of some bytes under a key of 16 bytes (Aumasson and Bernstein, 2012). In halves of
 * words, since BigInt takes ten times as long and this is on the path of every swap.
 */
export function siphash(key: Uint8Array, bytes: Uint8Array): bigint {
  const keys = new DataView(key.buffer, key.byteOffset, 16);
  const state = new State();
  for (const word of [0, 1, 2, 3]) {
    const half = (word % 2) * 8;
    state.xor(word, keys.getUint32(half, true), keys.getUint32(half + 4, true));
  }
  state.xor(0, 0x70736575, 0x736f6d65);
  state.xor(1, 0x6e646f6d, 0x646f7261);
  state.xor(2, 0x6e657261, 0x6c796765);
  state.xor(3, 0x79746573, 0x74656462);
  const whole = bytes.length - (bytes.length % 8);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at < whole; at += 8)
    absorb(state, view.getUint32(at, true), view.getUint32(at + 4, true));
  const last = new DataView(new ArrayBuffer(8));
  for (let at = whole; at < bytes.length; at++) last.setUint8(at - whole, view.getUint8(at));
  last.setUint8(7, bytes.length & 0xff);
  absorb(state, last.getUint32(0, true), last.getUint32(4, true));
  state.xor(2, 0xff, 0);
  state.rounds(4);
  for (const word of [1, 2, 3]) state.xor(0, state.low(word), state.high(word));
  return (BigInt(state.high(0)) << 32n) | BigInt(state.low(0));
}

function absorb(state: State, low: number, high: number): void {
  state.xor(3, low, high);
  state.rounds(2);
  state.xor(0, low, high);
}
