// Keeps `process.env` of a running Node program on its agent's generation (../README.md is the
// specification). Loaded by NODE_OPTIONS before the program, in each worker thread too. Everything
// is caught: this file prints nothing, throws nothing and holds nothing open.
//
// Of a program that starts all names are right, as a rule. So this file has what it takes to see
// that and to notice a change, and no more: each function that is parsed, and each that is called for
// the first time, of ours and of Node's, costs every start. The rest is in live.cjs, which is loaded
// when there is something to do.
"use strict";

// Not part of the coverage that a program measures of itself.
/* node:coverage disable */

// Taken now: programs replace these (mocked files, fake timers). Of the ways to read and to write at
// a place, those of vectors have the fewest functions of Node's behind them.
const {
  closeSync,
  constants,
  openSync,
  readlinkSync,
  readvSync,
  watch,
  writevSync,
} = require("fs");
const { latin1Slice, utf8Slice } = Buffer.prototype;
const now = Date.now;

const EVENT = "murmur:rotated";
const LOADED = Symbol.for("murmur.live-env");
const READS_THROUGH = 1;
/** After a failure: an agent that ended must not cost its programs anything. */
const QUIET_MS = 1000;
const HEADER_BYTES = 40;
/** Far more than a set may have: a garbled size must not become an allocation. */
const MAX_BYTES = 2 ** 24;
const SLOTS = 4096;
const SLOT_BYTES = 64;
const LAYER = 3n;
const NS_PER_MS = 1000000n;
// Asking worker_threads costs 1.6 ms.
const isMainThread =
  process.abort.disabled !== true && (typeof Bun === "undefined" || Bun.isMainThread);
/** What live.cjs works with. */
const TOOLS = {
  ...{ dueEntries, isMainThread, readLive, writeReceipt, readlinkSync, watch, now },
  ...{ clearInterval, setImmediate, setInterval },
};

function start(env) {
  const directory = env.MURMUR_DIR;
  const digits = env.MURMUR_GENERATION;
  const generation = Number(digits);
  const isWanted =
    ("," + env.MURMUR_LIVE + ",").includes(",node,") &&
    typeof directory === "string" &&
    directory[0] === "/" &&
    // Plain digits, and few enough to count with. (A pattern would have to be compiled.)
    String(generation) === digits &&
    Number.isSafeInteger(generation) &&
    generation >= 0;
  if (!isWanted || process[LOADED]) return;
  Object.defineProperty(process, LOADED, { value: true });
  const state = { env, directory, generation, link: undefined, given: new Map() };
  if (isRight(state)) {
    writeReceipt(directory, { generation, flags: READS_THROUGH, before: 0, readMs: 0 });
    install(state);
  } else {
    const live = require("./live.cjs").createLive(state, 0, TOOLS);
    if (live.start()) install(state, live);
  }
}

/** Whether nothing is to be done; `state` then has what was found. */
function isRight(state) {
  const { env, directory, generation, given } = state;
  const link = readlinkSync(directory + "/..data");
  const file = readLive(directory + "/..data/live");
  if (!file || file.generation !== generation) return false;
  try {
    const due = dueEntries(file, (name, value, since) => {
      if (value !== undefined) given.set(name, value);
      const present = env[name];
      return typeof present === "string"
        ? present !== value
        : since > generation && value !== undefined;
    });
    if (due.length > 0) return false;
    state.link = link;
    return true;
  } finally {
    file.bytes.fill(0);
  }
}

/**
 * A getter costs a quarter of a Proxy. It looks at most once a millisecond; comparing for "another
 * millisecond", not for a later one, survives a clock that steps.
 */
function install(state, live) {
  const { env, directory } = state;
  let isLoading = false;
  let lastReadMs = 0;
  let failedMs = -QUIET_MS;
  const wake = (readMs) => {
    // Node reads its environment while it loads.
    if (live || isLoading) return live;
    isLoading = true;
    try {
      return (live = require("./live.cjs").createLive(state, readMs, TOOLS));
    } finally {
      isLoading = false;
    }
  };
  Object.defineProperty(process, "env", {
    enumerable: true,
    configurable: true,
    get() {
      if (live) return live.read();
      const ms = now();
      if (ms === lastReadMs || (ms >= failedMs && ms - failedMs < QUIET_MS)) return env;
      const readMs = lastReadMs;
      lastReadMs = ms;
      try {
        // One system call and no descriptor that a program could count or close. The link moves
        // just before the page does, and one that was made anew is found again.
        if (readlinkSync(directory + "/..data") === state.link || !wake(readMs)) return env;
        return live.read();
      } catch {
        failedMs = ms;
        return env;
      }
    },
    set(value) {
      try {
        if (this === process) return wake(lastReadMs).assign(value);
      } catch {
        // As with the plain property, then.
      }
      // An object made from `process` gets its own.
      const own = { value, writable: true, enumerable: true, configurable: true };
      Object.defineProperty(this, "env", own);
    },
  });
  process.on("newListener", (event) => {
    if (event !== EVENT) return;
    try {
      wake(lastReadMs).listen();
    } catch {
      // Looks at reads of process.env still tell.
    }
  });
}

// ---- The live file

/** The whole file from one open; undefined when it is no live file. */
function readLive(path) {
  let bytes = readStart(path, 16384);
  if (bytes.length < HEADER_BYTES) return undefined;
  let view = new DataView(bytes.buffer, 0, bytes.length);
  const size = view.getUint32(36, true);
  if (size > MAX_BYTES) return undefined;
  if (size > bytes.length) {
    bytes.fill(0);
    bytes = readStart(path, size);
    view = new DataView(bytes.buffer, 0, bytes.length);
  }
  const isLive = latin1Slice.call(bytes, 0, 8) === "MURMURL1" && size === bytes.length;
  if (!isLive) return undefined;
  const generation = view.getUint32(8, true) + view.getUint32(12, true) * 2 ** 32;
  return { bytes, view, generation };
}

function readStart(path, size) {
  const bytes = new Uint8Array(size);
  const fd = openSync(path, 0);
  try {
    return bytes.subarray(0, readvSync(fd, [bytes]));
  } finally {
    closeSync(fd);
  }
}

/**
 * The entries of which `isDue(name, value, since)` says so; throws before anything was applied when
 * one makes no sense.
 */
function dueEntries({ bytes, view }, isDue) {
  const due = [];
  let at = HEADER_BYTES;
  for (let left = view.getUint32(32, true); left > 0; left--) {
    const valueAt = at + 21 + view.getUint16(at + 6, true);
    const deliveredAt = valueAt + view.getUint32(at + 8, true) + 1;
    const end = deliveredAt + bytes[at + 5] * 12;
    if (end !== at + view.getUint32(at, true) || end > bytes.length) throw new Error("garbled");
    const name = utf8Slice.call(bytes, at + 20, valueAt - 1);
    const value = bytes[at + 4] === 1 ? utf8Slice.call(bytes, valueAt, deliveredAt - 1) : undefined;
    // `process.env` cannot carry bytes that are not UTF-8.
    const isText =
      value === undefined ||
      !value.includes("\ufffd") ||
      Buffer.from(value).equals(bytes.subarray(valueAt, deliveredAt - 1));
    const since = view.getUint32(at + 12, true) + view.getUint32(at + 16, true) * 2 ** 32;
    if (isText && isDue(name, value, since)) due.push({ name, value, deliveredAt, end });
    at = end;
  }
  return due;
}

// ---- The receipt

/** Writes what the main thread has; other threads of the process have the same or less. */
function writeReceipt(directory, { generation, flags, before, readMs }) {
  let fd;
  try {
    if (!isMainThread) return;
    const own = identityOf(process.pid);
    fd = openSync(
      directory + "/receipts",
      constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK,
    );
    // Its eight numbers, in the byte order of the processors that there are layers for.
    const slot = new BigUint64Array(SLOT_BYTES / 8);
    const at = findSlot(fd, slot, own);
    if (at === undefined) return;
    // What an earlier layer knows of this generation (when it came, what was before) stays true.
    if (slot[2] !== BigInt(generation)) {
      slot[4] = BigInt(now()) * NS_PER_MS;
      slot[5] = BigInt(readMs) * NS_PER_MS;
      slot[6] = BigInt(before);
    }
    slot[0] = BigInt(process.pid) | (LAYER << 32n);
    slot[1] = own.ticks;
    slot[2] = BigInt(generation);
    slot[3] = BigInt(flags);
    slot[7] = own.stack;
    writevSync(fd, [slot], at);
  } catch {
    // No receipt: the process cannot be told.
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** Where the process's slot is, with what it wrote there before; undefined when all are taken. */
function findSlot(fd, slot, { ticks, stack }) {
  for (let probe = 0; probe < 8; probe++) {
    const at = ((process.pid + probe) % SLOTS) * SLOT_BYTES;
    // A file that was cut short is not made longer.
    if (readvSync(fd, [slot], at) !== SLOT_BYTES) return undefined;
    const pid = Number(slot[0] & 0xffffffffn);
    // What another program said before it became this one is not this one's.
    if (pid === process.pid && slot[1] === ticks && slot[7] === stack) return at;
    if (pid === 0 || pid === process.pid || !isAlive(pid, slot[1])) {
      slot.fill(0n);
      return at;
    }
  }
  return undefined;
}

/**
 * When a process started (field 22), and where the stack of its program starts (28): another place
 * after each exec. The program's name before them may hold anything.
 */
function identityOf(pid) {
  const stat = readStart("/proc/" + String(pid) + "/stat", 1024);
  const text = latin1Slice.call(stat, 0, stat.length);
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return { ticks: BigInt(fields[19]), stack: BigInt(fields[25]) };
}

function isAlive(pid, ticks) {
  try {
    return identityOf(pid).ticks === ticks;
  } catch {
    return false;
  }
}

module.exports = TOOLS;

try {
  start(process.env);
} catch {
  // Without us the program is as it was.
}
