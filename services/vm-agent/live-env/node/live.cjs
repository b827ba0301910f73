// What preload.cjs loads when there is more to do than to see that nothing is (../README.md): the
// rule of who owns a name, names that were added, listeners.
"use strict";

// Not part of the coverage that a program measures of itself.
/* node:coverage disable */

const { wasDelivered } = require("./delivered.cjs");
const { createListening } = require("./listening.cjs");
const { createProxy } = require("./proxy.cjs");

const GENERATION = "MURMUR_GENERATION";
const READS_THROUGH = 1;
const NOT_APPLIED_NATIVELY = 2;
/** After a look that failed: an agent that ended must not cost its programs anything. */
const QUIET_MS = 1000;

const has = (env, name) => typeof env[name] === "string";

/**
 * What this thread has. `link` is where the directory's link led when all names were right: undefined
 * when nobody has looked, which `start` then does. `lastReadMs` is when the program read last.
 */
function createLive({ env, directory, generation, link, given }, lastReadMs, tools) {
  const { dueEntries, isMainThread, now, readLive, readlinkSync, writeReceipt } = tools;
  /** Names that appeared while we run: never added natively, see `add`. */
  const added = new Map();
  let before = 0;
  let quietFromMs = -QUIET_MS;
  let off = false;
  let proxy;
  let assigned;
  const listening = createListening(directory, tools, () => look(now()));

  const isAdded = (name) => added.has(name) && (name === GENERATION || !has(env, name));
  const present = (name) => {
    const value = env[name];
    // Anything else than text is inherited from Object.
    return typeof value === "string" ? value : added.get(name);
  };

  /** What `process.env` is; at most one look a millisecond. */
  function read() {
    if (assigned) return assigned.value;
    const ms = now();
    if (ms !== lastReadMs) look(ms, true);
    return proxy || env;
  }

  /** The program's own object is its own; giving back ours (tests do) is a restore. */
  function assign(value) {
    const isOurs = value === env || (proxy !== undefined && value === proxy);
    assigned = isOurs ? undefined : { value };
    handsOff(!isOurs);
  }

  function look(ms, isRead) {
    const readMs = lastReadMs;
    if (isRead) lastReadMs = ms;
    if (off || (isRead && ms >= quietFromMs && ms - quietFromMs < QUIET_MS)) return;
    let file;
    try {
      const seen = readlinkSync(directory + "/..data");
      if (seen === link) return;
      file = readLive(directory + "/..data/live");
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
    const giving = new Map();
    const due = dueEntries(file, (name, value, since) => {
      if (value !== undefined) giving.set(name, value);
      const current = present(name);
      if (current === value || name === GENERATION) return false;
      return current !== undefined || (value !== undefined && since > generation);
    });
    const changed = due.filter((entry) => settle(file, entry, first)).map(({ name }) => name);
    given = giving;
    if (file.generation !== generation) before = generation;
    generation = file.generation;
    settleGeneration();
    write(first ? 0 : readMs);
    if (changed.length > 0) listening.tell({ generation, changed });
  }

  /** One row of the table, for a name that is not right; true when it changed. */
  function settle(file, entry, first) {
    const { name, value } = entry;
    const current = present(name);
    if (current === undefined) {
      add(name, value, first);
    } else if (current !== given.get(name) && !wasDelivered(file, entry, current)) {
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
    writeReceipt(directory, { generation, flags, before, readMs });
  }

  function handsOff(is) {
    if (off === is) return;
    off = is;
    // The program's next read no longer sees a later generation, or does again.
    write(0);
  }

  /** The look before the program's first line; false when there is nothing to follow. */
  function start() {
    look(now());
    return link !== undefined;
  }

  return { start, read, assign, listen: listening.open };
}

module.exports = { createLive };
