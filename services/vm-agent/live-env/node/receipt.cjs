// Writes the process's receipt (../README.md).
"use strict";

// Not part of the coverage that a program measures of itself.
/* node:coverage disable */

const { constants, openSync, readSync, writeSync, closeSync } = require("fs");
const { number, readStart, textOf, viewOf } = require("./live-file.cjs");

const { O_RDWR, O_NOFOLLOW, O_NONBLOCK } = constants;
const now = Date.now;
// Asking worker_threads costs 1.6 ms.
const isMainThread =
  process.abort.disabled !== true && (typeof Bun === "undefined" || Bun.isMainThread);
const SLOTS = 4096;
const SLOT_BYTES = 64;
const LAYER = 3;
const NS_PER_MS = 1e6;

/** Writes what the main thread has; other threads of the process have the same or less. */
function writeReceipt(directory, facts) {
  let fd;
  try {
    if (!isMainThread) return;
    const own = identityOf(process.pid);
    fd = openSync(directory + "/receipts", O_RDWR | O_NOFOLLOW | O_NONBLOCK);
    const slot = new Uint8Array(SLOT_BYTES);
    const at = findSlot(fd, slot, own);
    if (at === undefined) return;
    fillSlot(viewOf(slot), own, facts);
    writeSync(fd, slot, 0, SLOT_BYTES, at);
  } catch {
    // No receipt: the process cannot be told.
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** Where the process's slot is, with what it wrote there before; undefined when all are taken. */
function findSlot(fd, slot, { ticks, stack }) {
  const view = viewOf(slot);
  for (let probe = 0; probe < 8; probe++) {
    const at = ((process.pid + probe) % SLOTS) * SLOT_BYTES;
    // A file that was cut short is not made longer.
    if (readSync(fd, slot, 0, SLOT_BYTES, at) !== SLOT_BYTES) return undefined;
    const pid = view.getUint32(0, true);
    const theirs = number(view, 8);
    // What another program said before it became this one is not this one's.
    if (pid === process.pid && theirs === ticks && number(view, 56) === stack) return at;
    if (pid === 0 || pid === process.pid || !isAlive(pid, theirs)) {
      slot.fill(0);
      return at;
    }
  }
  return undefined;
}

function fillSlot(view, { ticks, stack }, { generation, flags, before, readMs }) {
  // What an earlier layer knows of this generation (when it came, what was before) stays true.
  if (number(view, 16) !== generation) {
    setTime(view, 32, now());
    setTime(view, 40, readMs);
    setNumber(view, 48, before);
  }
  view.setUint32(0, process.pid, true);
  view.setUint32(4, LAYER, true);
  setNumber(view, 8, ticks);
  setNumber(view, 16, generation);
  view.setUint32(24, flags, true);
  setNumber(view, 56, stack);
}

/** In nanoseconds; they are more than a number holds exactly, so they are made in two parts. */
function setTime(view, at, ms) {
  const high = Math.floor(ms / 2 ** 20) * NS_PER_MS;
  const low = (high % 2 ** 12) * 2 ** 20 + (ms % 2 ** 20) * NS_PER_MS;
  view.setUint32(at, low % 2 ** 32, true);
  view.setUint32(at + 4, Math.floor(high / 2 ** 12) + Math.floor(low / 2 ** 32), true);
}

function setNumber(view, at, value) {
  view.setUint32(at, value % 2 ** 32, true);
  view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
}

/**
 * When a process started (field 22), and where the stack of its program starts (28): another place
 * after each exec. The program's name before them may hold anything.
 */
function identityOf(pid) {
  const stat = readStart("/proc/" + String(pid) + "/stat", 1024);
  const text = textOf(stat, 0, stat.length);
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return { ticks: Number(fields[19]), stack: Number(fields[25]) };
}

function isAlive(pid, ticks) {
  try {
    return identityOf(pid).ticks === ticks;
  } catch {
    return false;
  }
}

module.exports = { isMainThread, writeReceipt };
