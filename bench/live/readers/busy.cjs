// Each line: CLOCK_MONOTONIC in ns, and a value that was not there before.
"use strict";
const { writeSync } = require("node:fs");
let last;
function look() {
  for (let i = 0; i < 1000; i++) {
    const now = process.env.TOKEN;
    if (now === last) continue;
    writeSync(1, `${process.hrtime.bigint()} ${(last = now)}\n`);
  }
  setImmediate(look);
}
look();
