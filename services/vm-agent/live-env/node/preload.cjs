// Keeps `process.env` of a running Node program on its agent's generation (../README.md is the
// specification). Loaded by NODE_OPTIONS before the program, in each worker thread too. Everything
// is caught: this file prints nothing, throws nothing and holds nothing open.
"use strict";

const fs = require("fs");
// Taken now: programs replace these (mocked files, fake timers).
const { readlinkSync, readFileSync, openSync, readSync, writeSync, closeSync } = fs;
const { O_RDWR, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
const now = Date.now;
const later = setImmediate;
const every = setInterval;
// Asking worker_threads costs 1.6 ms.
const isMainThread = process.abort.disabled !== true;
const hasOwn = (object, name) => Object.prototype.hasOwnProperty.call(object, name);

const GENERATION = "MURMUR_GENERATION";
const EVENT = "murmur:rotated";
const LOADED = Symbol.for("murmur.live-env");
const LAYER = 3;
const READS_THROUGH = 1;
const NOT_APPLIED_NATIVELY = 2;
/** After a look that failed: an agent that ended must not cost its programs anything. */
const QUIET_MS = 1000;
/** For listeners only, where the kernel has no watch left. */
const POLL_MS = 1000;

try {
  start(process.env);
} catch {
  // Without us the program is as it was.
}

function start(env) {
  if (!isWanted(env) || process[LOADED]) return;
  Object.defineProperty(process, LOADED, { value: true });
  const directory = env.MURMUR_DIR;
  const live = createLive(env, directory, createReceipt(directory));
  live.look(now());
  if (live.failed()) return;
  install(live, env);
  listen(live, directory);
}

function isWanted(env) {
  const layers = env.MURMUR_LIVE;
  return (
    typeof layers === "string" &&
    layers.split(",").includes("node") &&
    typeof env.MURMUR_DIR === "string" &&
    env.MURMUR_DIR.startsWith("/") &&
    /^[0-9]{1,15}$/.test(env[GENERATION] || "") &&
    // A start-up snapshot would carry this process's agent into others.
    !process.execArgv.some((argument) => argument.startsWith("--build-snapshot"))
  );
}

// ---- The getter

/**
 * A getter costs a quarter of a Proxy. It looks at most once a millisecond; comparing for "another
 * millisecond", not for a later one, survives a clock that steps.
 */
function install(live, env) {
  let replaced = false;
  let assigned;
  let lastMs = 0;
  Object.defineProperty(process, "env", {
    enumerable: true,
    configurable: true,
    get() {
      if (replaced) return assigned;
      const ms = now();
      if (ms !== lastMs) live.look((lastMs = ms));
      return live.shown();
    },
    set(value) {
      if (this !== process) {
        // An object made from `process` gets its own, as with the plain property.
        const own = { value, writable: true, enumerable: true, configurable: true };
        Object.defineProperty(this, "env", own);
        return;
      }
      // The program's own object is its own; giving back ours (tests do) is a restore.
      replaced = !live.isShown(value);
      assigned = value;
      live.handsOff(replaced);
    },
  });
}

/** What this thread has, and the rule of who owns a name. */
function createLive(env, directory, receipt) {
  /** Names that appeared while we run: never added natively, see `add`. */
  const added = new Map();
  let generation = Number(env[GENERATION]);
  let before = 0;
  let link;
  let quietFromMs = -QUIET_MS;
  let lastReadMs = 0;
  let off = false;
  let proxy;
  let told = () => {};

  const isAdded = (name) => added.has(name) && (name === GENERATION || !hasOwn(env, name));
  const read = (name) =>
    isAdded(name) ? added.get(name) : hasOwn(env, name) ? env[name] : undefined;

  function look(ms) {
    const readMs = lastReadMs;
    lastReadMs = ms;
    if (off || (ms >= quietFromMs && ms - quietFromMs < QUIET_MS)) return;
    try {
      // One system call and no descriptor that a program could count or close. The link moves
      // just before the page does, and one that was made anew is found again.
      const seen = readlinkSync(directory + "/..data");
      if (seen === link) return;
      follow(readFileSync(directory + "/..data/live"), readMs);
      link = seen;
    } catch {
      quietFromMs = ms;
    }
  }

  function follow(bytes, readMs) {
    const file = decode(bytes);
    bytes.fill(0);
    const first = link === undefined;
    if (file.generation < generation) return first ? write(0) : undefined;
    // No marker any more: hands off.
    if (!hasOwn(env, GENERATION)) return handsOff(true);
    const changed = [];
    for (const entry of file.entries)
      if (entry.name !== GENERATION && settle(file, entry, first)) changed.push(entry.name);
    if (file.generation !== generation) before = generation;
    generation = file.generation;
    settleGeneration();
    write(first ? 0 : readMs);
    if (changed.length > 0) told({ generation, changed });
  }

  /** One row of the table; true when the name changed. */
  function settle(file, entry, first) {
    const { name, value } = entry;
    const present = read(name);
    if (present === undefined) {
      if (value === undefined || entry.since <= generation) return false;
      add(name, value, first);
    } else if (present === value || !wasDelivered(file, entry, present)) {
      return false;
    } else if (isAdded(name)) {
      if (value === undefined) added.delete(name);
      else added.set(name, value);
    } else if (value === undefined) {
      // unsetenv moves pointers and frees nothing: a concurrent getenv may miss a name for an
      // instant, as with any `delete process.env.X`. A revoked value must not stay in the block.
      delete env[name];
    } else {
      // setenv of a name that is there replaces one pointer.
      env[name] = value;
    }
    return true;
  }

  /**
   * setenv of a new name reallocates `environ` under the threads that read it (address look-ups,
   * addons), which crashes. Before the program's first line nothing else runs.
   */
  function add(name, value, first) {
    if (first && isMainThread) env[name] = value;
    else added.set(name, value);
  }

  /**
   * The native number goes on only when all names are native: a child that is given the native
   * block (by an addon) then still adds what is missing in it.
   */
  function settleGeneration() {
    for (const name of added.keys()) if (name === GENERATION || !isAdded(name)) added.delete(name);
    if (added.size === 0) env[GENERATION] = String(generation);
    else added.set(GENERATION, String(generation));
    if (added.size > 0 && !proxy) proxy = createProxy(env, added, isAdded);
  }

  function write(readMs) {
    const flags = (off ? 0 : READS_THROUGH) | (added.size > 0 ? NOT_APPLIED_NATIVELY : 0);
    receipt({ generation, flags, before, readMs });
  }

  function handsOff(is) {
    if (off === is) return;
    off = is;
    // The program's next read no longer sees a later generation, or does again.
    write(0);
  }

  return {
    look,
    handsOff,
    failed: () => link === undefined,
    shown: () => proxy || env,
    isShown: (value) => value === env || (proxy !== undefined && value === proxy),
    tell: (how) => (told = how),
  };
}

/** `process.env` with the added names in it; the program's own writes go to the real one. */
function createProxy(env, added, isAdded) {
  const descriptor = (value) => ({ value, writable: true, enumerable: true, configurable: true });
  const target = {};
  const proxy = new Proxy(target, {
    get: (_, name) => (isAdded(name) ? added.get(name) : env[name]),
    has: (_, name) => isAdded(name) || name in env,
    ownKeys: () => [...new Set([...Reflect.ownKeys(env), ...added.keys()])],
    getOwnPropertyDescriptor: (_, name) =>
      isAdded(name) ? descriptor(added.get(name)) : Reflect.getOwnPropertyDescriptor(env, name),
    set(_, name, value) {
      env[name] = value;
      added.delete(name);
      return true;
    },
    defineProperty(_, name, value) {
      Object.defineProperty(env, name, value);
      added.delete(name);
      return true;
    },
    deleteProperty(_, name) {
      added.delete(name);
      return Reflect.deleteProperty(env, name);
    },
    getPrototypeOf: () => Reflect.getPrototypeOf(env),
    setPrototypeOf: (_, prototype) => Reflect.setPrototypeOf(env, prototype),
    preventExtensions: () => (Object.preventExtensions(env), false),
  });
  // console.log looks through a Proxy at its target.
  const inspect = { value: () => ({ ...proxy }), configurable: true };
  Object.defineProperty(target, Symbol.for("nodejs.util.inspect.custom"), inspect);
  return proxy;
}

// ---- Listening

/** A watch of the directory, only while the program listens; it keeps no program alive. */
function listen(live, directory) {
  let stop;
  const look = () => live.look(now());
  live.tell((change) => {
    if (process.listenerCount(EVENT) === 0) return;
    // Not inside the read of a variable; a listener's error is the program's own.
    later(() => process.emit(EVENT, change));
  });
  process.on("newListener", (event) => {
    if (event !== EVENT || stop) return;
    try {
      stop = watch(directory, look);
      process.on("removeListener", release);
      look();
    } catch {
      // Looks at reads of process.env still tell.
    }
  });
  function release(event) {
    if (event !== EVENT || process.listenerCount(EVENT) > 0) return;
    process.removeListener("removeListener", release);
    stop();
    stop = undefined;
  }
}

function watch(directory, look) {
  let timer;
  // The kernel gives a user 128 instances; without one, a second's delay.
  const poll = () => {
    timer = timer || every(look, POLL_MS);
    timer.unref();
  };
  let watcher;
  try {
    watcher = fs.watch(directory, { persistent: false }, (_, name) => {
      // Every process of the agent writes to `receipts` beside it.
      if (name !== "receipts") look();
    });
    watcher.on("error", poll);
  } catch {
    poll();
  }
  return () => {
    if (watcher) watcher.close();
    clearInterval(timer);
  };
}

// ---- The live file

function decode(bytes) {
  const number = (at) => bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 2 ** 32;
  if (bytes.toString("latin1", 0, 8) !== "MURMURL1" || bytes.readUInt32LE(36) !== bytes.length)
    throw new Error("no live file");
  const entries = [];
  let at = 40;
  for (let left = bytes.readUInt32LE(32); left > 0; left--) {
    const nameAt = at + 20;
    const valueAt = nameAt + bytes.readUInt16LE(at + 6) + 1;
    const deliveredAt = valueAt + bytes.readUInt32LE(at + 8) + 1;
    const end = deliveredAt + bytes[at + 5] * 12;
    if (end !== at + bytes.readUInt32LE(at) || end > bytes.length) throw new Error("garbled");
    const name = bytes.toString("utf8", nameAt, valueAt - 1);
    const value = bytes[at + 4] === 1 ? text(bytes, valueAt, deliveredAt - 1) : undefined;
    // `process.env` cannot carry bytes that are not UTF-8.
    if (value !== null) {
      const delivered = Buffer.from(bytes.subarray(deliveredAt, end));
      entries.push({ name, value, since: number(at + 12), delivered });
    }
    at = end;
  }
  return { generation: number(8), key: Buffer.from(bytes.subarray(16, 32)), entries };
}

function text(bytes, start, end) {
  const value = bytes.toString("utf8", start, end);
  if (!value.includes("\ufffd")) return value;
  return Buffer.from(value).equals(bytes.subarray(start, end)) ? value : null;
}

function wasDelivered({ key }, { delivered }, present) {
  let bytes;
  let hash;
  for (let at = 0; at < delivered.length; at += 12) {
    if (!bytes) bytes = Buffer.from(present);
    if (delivered.readUInt32LE(at) !== bytes.length) continue;
    if (!hash) hash = siphash(key, bytes);
    if (delivered.compare(hash, 0, 8, at + 4, at + 12) === 0) return true;
  }
  return false;
}

/** SipHash-2-4 as 8 little-endian bytes, in halves of 32 bits: BigInt takes 50 ms for 60 KB. */
function siphash(key, bytes) {
  const v = new Int32Array(8);
  const xor = (at, low, high) => {
    v[at] ^= low;
    v[at + 1] ^= high;
  };
  const add = (a, b) => {
    const low = (v[a] >>> 0) + (v[b] >>> 0);
    v[a + 1] = v[a + 1] + v[b + 1] + (low > 0xffffffff ? 1 : 0);
    v[a] = low;
  };
  const rotate = (at, by) => {
    const low = v[at];
    const high = v[at + 1];
    v[at] = (low << by) | (high >>> (32 - by));
    v[at + 1] = (high << by) | (low >>> (32 - by));
  };
  const swap = (at) => ([v[at], v[at + 1]] = [v[at + 1], v[at]]);
  const mix = (a, b, by) => {
    add(a, b);
    rotate(b, by);
    xor(b, v[a], v[a + 1]);
  };
  const rounds = (count) => {
    for (let i = 0; i < count; i++) {
      mix(0, 2, 13);
      swap(0);
      mix(4, 6, 16);
      mix(0, 6, 21);
      mix(4, 2, 17);
      swap(4);
    }
  };
  const start = [0x70736575, 0x736f6d65, 0x6e646f6d, 0x646f7261];
  start.push(0x6e657261, 0x6c796765, 0x79746573, 0x74656462);
  start.forEach((half, at) => (v[at] = half ^ key.readInt32LE((at % 4) * 4)));
  const padded = Buffer.alloc((Math.floor(bytes.length / 8) + 1) * 8);
  padded.set(bytes);
  padded[padded.length - 1] = bytes.length & 0xff;
  for (let at = 0; at < padded.length; at += 8) {
    const low = padded.readInt32LE(at);
    const high = padded.readInt32LE(at + 4);
    xor(6, low, high);
    rounds(2);
    xor(0, low, high);
  }
  padded.fill(0);
  xor(4, 0xff, 0);
  rounds(4);
  const hash = Buffer.alloc(8);
  hash.writeInt32LE(v[0] ^ v[2] ^ v[4] ^ v[6], 0);
  hash.writeInt32LE(v[1] ^ v[3] ^ v[5] ^ v[7], 4);
  return hash;
}

// ---- The receipt

/** Writes what the main thread has; other threads of the process have the same or less. */
function createReceipt(directory) {
  const SLOTS = 4096;
  const BYTES = 64;
  const ticksOf = (pid) => {
    const stat = readFileSync("/proc/" + String(pid) + "/stat", "latin1");
    return BigInt(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]);
  };
  const isAlive = (pid, ticks) => {
    try {
      return ticksOf(pid) === ticks;
    } catch {
      return false;
    }
  };
  const nanoseconds = (ms) => BigInt(ms) * 1000000n;

  /** The process's slot, with what stands in it; undefined when all are taken. */
  function find(fd, ticks) {
    for (let i = 0; i < 8; i++) {
      const at = ((process.pid + i) % SLOTS) * BYTES;
      const slot = Buffer.alloc(BYTES);
      // A file that was cut short is not made longer.
      if (readSync(fd, slot, 0, BYTES, at) !== BYTES) return undefined;
      const pid = slot.readUInt32LE(0);
      const theirs = slot.readBigUInt64LE(8);
      const isOurs = pid === process.pid && theirs === ticks;
      if (isOurs || pid === 0 || pid === process.pid || !isAlive(pid, theirs))
        return { at, slot: isOurs ? slot : Buffer.alloc(BYTES) };
    }
    return undefined;
  }

  function write(fd, { generation, flags, before, readMs }) {
    const ticks = ticksOf(process.pid);
    const found = find(fd, ticks);
    if (!found) return;
    const { at, slot } = found;
    // What an earlier layer knows of this generation (when it came, what was before) stays true.
    if (slot.readBigUInt64LE(16) !== BigInt(generation)) {
      slot.writeBigUInt64LE(nanoseconds(now()), 32);
      slot.writeBigUInt64LE(nanoseconds(readMs), 40);
      slot.writeBigUInt64LE(BigInt(before), 48);
    }
    slot.writeUInt32LE(process.pid, 0);
    slot.writeUInt32LE(LAYER, 4);
    slot.writeBigUInt64LE(ticks, 8);
    slot.writeBigUInt64LE(BigInt(generation), 16);
    slot.writeUInt32LE(flags, 24);
    writeSync(fd, slot, 0, BYTES, at);
  }

  return (facts) => {
    let fd;
    try {
      if (!isMainThread) return;
      fd = openSync(directory + "/receipts", O_RDWR | O_NOFOLLOW | O_NONBLOCK);
      write(fd, facts);
    } catch {
      // No receipt: the process cannot be told.
    } finally {
      if (fd !== undefined) closeSync(fd);
    }
  };
}
