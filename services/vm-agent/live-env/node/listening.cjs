// Tells the program of changes that it listens for.
"use strict";

// Not part of the coverage that a program measures of itself.
/* node:coverage disable */

const EVENT = "murmur:rotated";
/** For listeners only, where the kernel has no watch left. */
const POLL_MS = 1000;

/** A watch of the directory, only while the program listens; it keeps no program alive. */
function createListening(directory, tools, look) {
  let stop;
  function open() {
    if (stop) return;
    try {
      stop = startWatch(directory, tools, look);
      process.on("removeListener", release);
      look();
    } catch {
      // Looks at reads of process.env still tell.
    }
  }
  function release(event) {
    if (event !== EVENT || process.listenerCount(EVENT) > 0) return;
    process.removeListener("removeListener", release);
    stop();
    stop = undefined;
  }
  function tell(change) {
    if (process.listenerCount(EVENT) === 0) return;
    // Not inside the read of a variable; a listener's error is the program's own.
    tools.setImmediate(() => process.emit(EVENT, change));
  }
  return { open, tell };
}

function startWatch(directory, { watch, setInterval, clearInterval }, look) {
  let timer;
  // The kernel gives a user 128 instances; without one, a second's delay.
  const poll = () => {
    timer = timer || setInterval(look, POLL_MS);
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

module.exports = { createListening };
