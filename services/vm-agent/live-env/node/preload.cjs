// Keeps `process.env` of a running Node program on its agent's generation (../README.md is the
// specification). Loaded by NODE_OPTIONS before the program, in each worker thread too. Everything
// is caught: this file prints nothing, throws nothing and holds nothing open.
"use strict";

// Not part of the coverage that a program measures of itself.
/* node:coverage disable */

// Taken now: programs replace these (mocked files, fake timers).
const { readlinkSync, watch } = require("fs");
const now = Date.now;
const later = setImmediate;
const every = setInterval;
const has = (env, name) => typeof env[name] === "string";

const GENERATION = "MURMUR_GENERATION";
const EVENT = "murmur:rotated";
const READS_THROUGH = 1;
const NOT_APPLIED_NATIVELY = 2;
const LOADED = Symbol.for("murmur.live-env");
/** After a look that failed: an agent that ended must not cost its programs anything. */
const QUIET_MS = 1000;
/** For listeners only, where the kernel has no watch left. */
const POLL_MS = 1000;

let liveFile;
let receipt;

function start(env) {
  if (!isWanted(env) || process[LOADED]) return;
  Object.defineProperty(process, LOADED, { value: true });
  // Here, so that a file that is missing is caught, too.
  liveFile = require("./live-file.cjs");
  receipt = require("./receipt.cjs");
  const directory = env.MURMUR_DIR;
  const live = createLive(env, directory);
  live.look(now());
  if (live.failed()) return;
  install(live, env);
  listen(live, directory);
}

function isWanted(env) {
  const layers = env.MURMUR_LIVE;
  const directory = env.MURMUR_DIR;
  const generation = env[GENERATION];
  return (
    typeof layers === "string" &&
    ("," + layers + ",").includes(",node,") &&
    typeof directory === "string" &&
    directory[0] === "/" &&
    // Plain digits, and few enough to count with. (A pattern would have to be compiled.)
    String(Number(generation)) === generation &&
    Number.isSafeInteger(Number(generation)) &&
    Number(generation) >= 0
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
      if (ms !== lastMs) live.look((lastMs = ms), true);
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
function createLive(env, directory) {
  /** Names that appeared while we run: never added natively, see `add`. */
  const added = new Map();
  /** What the last file gave: who reads nothing for long misses more than a file remembers. */
  let given = new Map();
  let generation = Number(env[GENERATION]);
  let before = 0;
  let link;
  let quietFromMs = -QUIET_MS;
  let lastReadMs = 0;
  let off = false;
  let proxy;
  let told = () => {};

  const isAdded = (name) => added.has(name) && (name === GENERATION || !has(env, name));
  const read = (name) => {
    const value = env[name];
    // Anything else than text is inherited from Object.
    return typeof value === "string" ? value : added.get(name);
  };

  function look(ms, isRead) {
    const readMs = lastReadMs;
    if (isRead) lastReadMs = ms;
    if (off || (isRead && ms >= quietFromMs && ms - quietFromMs < QUIET_MS)) return;
    let file;
    try {
      // One system call and no descriptor that a program could count or close. The link moves
      // just before the page does, and one that was made anew is found again.
      const seen = readlinkSync(directory + "/..data");
      if (seen === link) return;
      file = liveFile.readLive(directory + "/..data/live");
      follow(file, readMs);
      link = seen;
      return;
    } catch {
      // Gone, or no live file.
    } finally {
      if (file) file.bytes.fill(0);
    }
    quietFromMs = ms;
  }

  function follow(file, readMs) {
    const first = link === undefined;
    if (file.generation < generation) return first ? write(0) : undefined;
    // No marker any more: hands off.
    if (!has(env, GENERATION)) return handsOff(true);
    const changed = [];
    const giving = new Map();
    for (const entry of liveFile.entriesOf(file)) {
      if (entry.name !== GENERATION && settle(file, entry, first)) changed.push(entry.name);
      if (entry.value !== undefined) giving.set(entry.name, entry.value);
    }
    given = giving;
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
    } else if (present === value) {
      return false;
    } else if (present !== given.get(name) && !liveFile.wasDelivered(file, entry, present)) {
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
    if (first && receipt.isMainThread) env[name] = value;
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
    receipt.writeReceipt(directory, { generation, flags, before, readMs });
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
      stop = startWatch(directory, look);
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

function startWatch(directory, look) {
  let timer;
  // The kernel gives a user 128 instances; without one, a second's delay.
  const poll = () => {
    timer = timer || every(look, POLL_MS);
    timer.unref();
  };
  let watcher;
  try {
    watcher = watch(directory, { persistent: false }, (_, name) => {
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

try {
  start(process.env);
} catch {
  // Without us the program is as it was.
}
