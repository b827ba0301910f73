// Reads the live file (../README.md). Cold code: a DataView and few calls make the difference
// between 0.4 and 2 ms of start-up.
"use strict";

// Not part of the coverage that a program measures of itself.
/* node:coverage disable */

const { openSync, readSync, closeSync } = require("fs");
// Plain arrays, cut by the language: a Buffer's own functions are compiled at their first use.
const { latin1Slice, utf8Slice } = Buffer.prototype;

const HEADER_BYTES = 40;
/** Far more than a set may have: a garbled size must not become an allocation. */
const MAX_BYTES = 2 ** 24;
const SIP_START = [
  0x70736575, 0x736f6d65, 0x6e646f6d, 0x646f7261, 0x6e657261, 0x6c796765, 0x79746573, 0x74656462,
];

/** The whole file from one open; undefined when it is no live file. */
function readLive(path) {
  let bytes = readStart(path, 16384);
  if (bytes.length < HEADER_BYTES) return undefined;
  let view = viewOf(bytes);
  const size = view.getUint32(36, true);
  if (size > MAX_BYTES) return undefined;
  if (size > bytes.length) {
    bytes.fill(0);
    bytes = readStart(path, size);
    view = viewOf(bytes);
  }
  const isLive = textOf(bytes, 0, 8) === "MURMURL1" && view.getUint32(36, true) === bytes.length;
  return isLive ? { bytes, view, generation: number(view, 8) } : undefined;
}

function readStart(path, size) {
  const bytes = new Uint8Array(size);
  const fd = openSync(path, 0);
  try {
    return bytes.subarray(0, readSync(fd, bytes, 0, size, 0));
  } finally {
    closeSync(fd);
  }
}

const viewOf = (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
const textOf = (bytes, from, to) => latin1Slice.call(bytes, from, to);
const number = (view, at) => view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;

/** Where each entry stands; throws before anything was applied when one makes no sense. */
function entriesOf({ bytes, view }) {
  const entries = [];
  let at = HEADER_BYTES;
  for (let left = view.getUint32(32, true); left > 0; left--) {
    const nameAt = at + 20;
    const valueAt = nameAt + view.getUint16(at + 6, true) + 1;
    const deliveredAt = valueAt + view.getUint32(at + 8, true) + 1;
    const end = deliveredAt + bytes[at + 5] * 12;
    if (end !== at + view.getUint32(at, true) || end > bytes.length) throw new Error("garbled");
    const name = utf8Slice.call(bytes, nameAt, valueAt - 1);
    const value = bytes[at + 4] === 1 ? utf8Slice.call(bytes, valueAt, deliveredAt - 1) : undefined;
    // `process.env` cannot carry bytes that are not UTF-8.
    const isText =
      value === undefined ||
      !value.includes("\ufffd") ||
      Buffer.from(value).equals(bytes.subarray(valueAt, deliveredAt - 1));
    if (isText) entries.push({ name, value, since: number(view, at + 12), deliveredAt, end });
    at = end;
  }
  return entries;
}

function wasDelivered({ bytes, view }, { deliveredAt, end }, present) {
  const text = Buffer.from(present);
  let hash;
  for (let at = deliveredAt; at < end; at += 12) {
    if (view.getUint32(at, true) !== text.length) continue;
    hash = hash || siphash(bytes.subarray(16, 32), text);
    if (view.getInt32(at + 4, true) === hash[0] && view.getInt32(at + 8, true) === hash[1])
      return true;
  }
  return false;
}

/** SipHash-2-4 in halves of 32 bits, [low, high]: BigInt takes 50 ms for 60 KB. */
function siphash(key, bytes) {
  const keys = viewOf(key);
  const v = new Int32Array(8);
  for (let at = 0; at < 8; at++) v[at] = SIP_START[at] ^ keys.getInt32((at % 4) * 4, true);
  const padded = new Uint8Array((Math.floor(bytes.length / 8) + 1) * 8);
  padded.set(bytes);
  padded[padded.length - 1] = bytes.length & 0xff;
  const words = new DataView(padded.buffer);
  for (let at = 0; at < padded.length; at += 8) {
    const low = words.getInt32(at, true);
    const high = words.getInt32(at + 4, true);
    v[6] ^= low;
    v[7] ^= high;
    sipRound(v);
    sipRound(v);
    v[0] ^= low;
    v[1] ^= high;
  }
  padded.fill(0);
  v[4] ^= 0xff;
  for (let round = 0; round < 4; round++) sipRound(v);
  return [v[0] ^ v[2] ^ v[4] ^ v[6], v[1] ^ v[3] ^ v[5] ^ v[7]];
}

function sipRound(v) {
  sipMix(v, 0, 2, 13);
  sipSwap(v, 0);
  sipMix(v, 4, 6, 16);
  sipMix(v, 0, 6, 21);
  sipMix(v, 4, 2, 17);
  sipSwap(v, 4);
}

/** a += b; b = rotate(b, by) ^ a. */
function sipMix(v, a, b, by) {
  const sum = (v[a] >>> 0) + (v[b] >>> 0);
  v[a] = sum;
  v[a + 1] += v[b + 1] + (sum > 0xffffffff ? 1 : 0);
  const low = v[b];
  const high = v[b + 1];
  v[b] = ((low << by) | (high >>> (32 - by))) ^ v[a];
  v[b + 1] = ((high << by) | (low >>> (32 - by))) ^ v[a + 1];
}

function sipSwap(v, at) {
  const low = v[at];
  v[at] = v[at + 1];
  v[at + 1] = low;
}

module.exports = { entriesOf, number, readLive, readStart, textOf, viewOf, wasDelivered };
