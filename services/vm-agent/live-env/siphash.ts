/** Two rounds take in a word, four end it. */
const ROUNDS = 2;
const LAST_ROUNDS = 4;

/** The four words of the state, each as its low and its high half. */
type State = Int32Array & Record<0 | 1 | 2 | 3 | 4 | 5 | 6 | 7, number>;

/**
 * SipHash-2-4 of some bytes under a key of 16 bytes (Aumasson and Bernstein, 2012). In halves of
 * words that are local variables, since this is on the path of every swap: BigInt takes a hundred
 * times as long, and a state that is read and written by accessors ten times.
 */
export function siphash(key: Uint8Array, bytes: Uint8Array): bigint {
  const keys = new DataView(key.buffer, key.byteOffset, 16);
  const half = (at: number) => keys.getInt32(at, true);
  // prettier-ignore
  const state = Int32Array.of(
    half(0) ^ 0x70736575, half(4) ^ 0x736f6d65, half(8) ^ 0x6e646f6d, half(12) ^ 0x646f7261,
    half(0) ^ 0x6e657261, half(4) ^ 0x6c796765, half(8) ^ 0x79746573, half(12) ^ 0x74656462,
  ) as State;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const whole = bytes.length - (bytes.length % 8);
  for (let at = 0; at < whole; at += 8)
    absorb(state, view.getInt32(at, true), view.getInt32(at + 4, true));
  let low = 0;
  let high = bytes.length << 24;
  for (let at = whole; at < bytes.length; at++) {
    const byte = view.getUint8(at);
    if (at - whole < 4) low |= byte << (8 * (at - whole));
    else high |= byte << (8 * (at - whole - 4));
  }
  absorb(state, low, high);
  state[4] ^= 0xff;
  mix(state, LAST_ROUNDS);
  low = state[0] ^ state[2] ^ state[4] ^ state[6];
  high = state[1] ^ state[3] ^ state[5] ^ state[7];
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}

function absorb(state: State, low: number, high: number): void {
  state[6] ^= low;
  state[7] ^= high;
  mix(state, ROUNDS);
  state[0] ^= low;
  state[1] ^= high;
}

/** `a0` is the low half of the first word, `a1` its high half, `b0` of the second, and so on. */
function mix(state: State, rounds: number): void {
  let a0 = state[0];
  let a1 = state[1];
  let b0 = state[2];
  let b1 = state[3];
  let c0 = state[4];
  let c1 = state[5];
  let d0 = state[6];
  let d1 = state[7];
  let sum: number;
  let kept: number;
  for (let round = 0; round < rounds; round++) {
    // a += b; b = rotl(b, 13) ^ a; a = rotl(a, 32)
    sum = (a0 + b0) | 0;
    a1 = (a1 + b1 + carry(sum, a0)) | 0;
    kept = b0;
    b0 = ((b0 << 13) | (b1 >>> 19)) ^ sum;
    b1 = ((b1 << 13) | (kept >>> 19)) ^ a1;
    a0 = a1;
    a1 = sum;
    // c += d; d = rotl(d, 16) ^ c
    sum = (c0 + d0) | 0;
    c1 = (c1 + d1 + carry(sum, c0)) | 0;
    c0 = sum;
    kept = d0;
    d0 = ((d0 << 16) | (d1 >>> 16)) ^ c0;
    d1 = ((d1 << 16) | (kept >>> 16)) ^ c1;
    // a += d; d = rotl(d, 21) ^ a
    sum = (a0 + d0) | 0;
    a1 = (a1 + d1 + carry(sum, a0)) | 0;
    a0 = sum;
    kept = d0;
    d0 = ((d0 << 21) | (d1 >>> 11)) ^ a0;
    d1 = ((d1 << 21) | (kept >>> 11)) ^ a1;
    // c += b; b = rotl(b, 17) ^ c; c = rotl(c, 32)
    sum = (c0 + b0) | 0;
    c1 = (c1 + b1 + carry(sum, c0)) | 0;
    kept = b0;
    b0 = ((b0 << 17) | (b1 >>> 15)) ^ sum;
    b1 = ((b1 << 17) | (kept >>> 15)) ^ c1;
    c0 = c1;
    c1 = sum;
  }
  state[0] = a0;
  state[1] = a1;
  state[2] = b0;
  state[3] = b1;
  state[4] = c0;
  state[5] = c1;
  state[6] = d0;
  state[7] = d1;
}

/** Of an addition of halves: the sum has wrapped when it is below what it was added to. */
function carry(sum: number, term: number): number {
  return sum >>> 0 < term >>> 0 ? 1 : 0;
}
