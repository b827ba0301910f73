"use strict";

// Runs a CommonJS bundle with the code that V8 compiled of it the last time: compiling is a third
// of a short command's life. The cache stands beside the bundle, is made by the first command that
// may write there, and counts for that very bundle and version of Node. V8 would crash on a damaged
// one, so it carries a checksum. Anything wrong with it means to compile, as without it.
const { createHash } = require("node:crypto");
const {
  closeSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} = require("node:fs");
const Module = require("node:module");
const { dirname } = require("node:path");
const { Script } = require("node:vm");

/** Runs the CommonJS file of this absolute path; says whether a cache was used. */
function loadCached(file) {
  const cacheFile = `${file}.cache`;
  const stamp = stampOf(file);
  const cachedData = readCache(cacheFile, stamp);
  const source = Module.wrap(readFileSync(file, "utf8"));
  const script = new Script(source, { filename: file, cachedData });
  const isUsed = cachedData !== undefined && script.cachedDataRejected === false;
  if (!isUsed)
    process.once("exit", (code) => {
      // At the end, when it holds the functions that were called, too.
      if (code === 0) writeCache(cacheFile, stamp, script.createCachedData());
    });
  const bundle = { exports: {} };
  script.runInThisContext()(bundle.exports, require, bundle, file, dirname(file));
  return isUsed;
}

function stampOf(file) {
  const { size, mtimeMs } = statSync(file);
  return `${process.version} ${process.arch} ${size} ${mtimeMs}`;
}

/** A line with the stamp and the checksum, then the data. */
function head(stamp, data) {
  return Buffer.from(`${stamp} ${createHash("sha256").update(data).digest("hex")}\n`);
}

function readCache(cacheFile, stamp) {
  try {
    const bytes = readFileSync(cacheFile);
    const data = bytes.subarray(bytes.indexOf("\n") + 1);
    return bytes.subarray(0, bytes.length - data.length).equals(head(stamp, data))
      ? data
      : undefined;
  } catch {
    return undefined; // None yet.
  }
}

function writeCache(cacheFile, stamp, data) {
  const temporary = `${cacheFile}.${process.pid}`;
  try {
    const descriptor = openSync(temporary, "wx", 0o644);
    try {
      writeSync(descriptor, Buffer.concat([head(stamp, data), data]));
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(temporary, cacheFile);
  } catch {
    rmSync(temporary, { force: true }); // Not ours to write, or no room: it works without.
  }
}

module.exports = { loadCached };
