// Writes the process's receipt (../README.md).
"use strict";

// Not part of the coverage that a program measures of itself.
/* node:coverage disable */

const { constants, openSync, readSync, writeSync, closeSync } = require("fs");
const { number, readStart, viewOf } = require("./live-file.cjs");

const { O_RDWR, O_NOFOLLOW, O_NONBLOCK } = constants;
const now = Date.now;
// Asking worker_threads costs 1.6 ms.
const isMainThread =
  process.abort.disabled !== true && (typeof Bun === "undefined" || Bun.isMainThread);
const SLOTS = 4096;
const SLOT_BYTES = 64;
const LAYER = 3;

/** Writes what the main thread has; other threads of the process have the same or less. */
function writeReceipt(directory, facts) {
  let fd;
  try {
    if (!isMainThread) return;
    const ticks = ticksOf(process.pid);
    fd = openSync(directory + "/receipts", O_RDWR | O_NOFOLLOW | O_NONBLOCK);
    const slot = Buffer.alloc(SLOT_BYTES);
    const at = findSlot(fd, slot, ticks);
    if (at === undefined) return;
    fillSlot(viewOf(slot), ticks, facts);
    writeSync(fd, slot, 0, SLOT_BYTES, at);
  } catch {
    // No receipt: the process cannot be told.
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** Where the process's slot is, with what it wrote there before; undefined when all are taken. */
function findSlot(fd, slot, ticks) {
  const view = viewOf(slot);
  for (let probe = 0; probe < 8; probe++) {
    const at = ((process.pid + probe) % SLOTS) * SLOT_BYTES;
    // A file that was cut short is not made longer.
    if (readSync(fd, slot, 0, SLOT_BYTES, at) !== SLOT_BYTES) return undefined;
    const pid = view.getUint32(0, true);
    const theirs = number(view, 8);
    if (pid === process.pid && theirs === ticks) return at;
    if (pid === 0 || pid === process.pid || !isAlive(pid, theirs)) {
      slot.fill(0);
      return at;
    }
  }
  return undefined;
}

function fillSlot(view, ticks, { generation, flags, before, readMs }) {
  const nanoseconds = (ms) => BigInt(ms) * BigInt(1000000);
  // What an earlier layer knows of this generation (when it came, what was before) stays true.
  if (number(view, 16) !== generation) {
    view.setBigUint64(32, nanoseconds(now()), true);
    view.setBigUint64(40, nanoseconds(readMs), true);
    setNumber(view, 48, before);
  }
  view.setUint32(0, process.pid, true);
  view.setUint32(4, LAYER, true);
  setNumber(view, 8, ticks);
  setNumber(view, 16, generation);
  view.setUint32(24, flags, true);
}

function setNumber(view, at, value) {
  view.setUint32(at, value % 2 ** 32, true);
  view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
}

/** When a process started (field 22): the program's name before it may hold anything. */
function ticksOf(pid) {
  const stat = readStart("/proc/" + String(pid) + "/stat", 1024);
  const text = stat.latin1Slice(0, stat.length);
  return Number(text.slice(text.lastIndexOf(")") + 2).split(" ")[19]);
}

function isAlive(pid, ticks) {
  try {
    return ticksOf(pid) === ticks;
  } catch {
    return false;
  }
}

module.exports = { isMainThread, writeReceipt };
