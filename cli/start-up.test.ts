import { spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const LOADER = join(__dirname, "../bin/load-cached.js");
const BUNDLE = `const used = () => "one"; console.log(used()); module.exports = 1;`;

let directory: string;
let file: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "murmur-start-"));
  file = join(directory, "bundle.js");
  writeFileSync(file, BUNDLE);
});
afterEach(() => {
  chmodSync(directory, 0o755);
  rmSync(directory, { recursive: true });
});

/** Runs the bundle; the exit status is 7 when a cache was used. */
function run(): { stdout: string; isCached: boolean } {
  const script = `
    const isCached = require(${JSON.stringify(LOADER)}).loadCached(${JSON.stringify(file)});
    if (isCached) process.exitCode = 7;`;
  const { status, stdout } = spawnSync(process.execPath, ["-e", script], { encoding: "utf8" });
  expect([0, 7]).toContain(status);
  return { stdout: stdout.trim(), isCached: status === 7 };
}

describe("bin/murmur", () => {
  it("gives every word to the program, also those that Node would take for its own", () => {
    const bin = join(directory, "bin");
    mkdirSync(bin);
    copyFileSync(join(__dirname, "../bin/murmur"), join(bin, "murmur"));
    const loader = `exports.loadCached = () => console.log(JSON.stringify(process.argv.slice(2)));`;
    writeFileSync(join(bin, "load-cached.js"), loader);
    const words = ["spawn", "--env-file", "/no such file", "--env-file=-", "x", "--", "node", "-e"];
    const { stdout, stderr } = spawnSync(join(bin, "murmur"), words, { encoding: "utf8" });
    expect(stderr).toBe("");
    expect(JSON.parse(stdout)).toEqual(words);
  });
});

describe("the compiled code that bin/murmur keeps", () => {
  it("is used from the second command on", () => {
    expect([run(), run(), run()].map(({ isCached }) => isCached)).toEqual([false, true, true]);
    expect(readdirSync(directory)).toEqual(["bundle.js", "bundle.js.cache"]);
  });

  it("is never that of another bundle, even of the same length", () => {
    run();
    writeFileSync(file, BUNDLE.replace("one", "two"));
    expect(run()).toEqual({ stdout: "two", isCached: false });
    expect(run()).toEqual({ stdout: "two", isCached: true });
  });

  it("crashes nothing when it is damaged: the bundle is compiled anew", () => {
    run();
    const cache = readFileSync(`${file}.cache`);
    const zeroed = Buffer.from(cache).fill(0, Math.floor(cache.length / 2));
    for (const damaged of [zeroed, cache.subarray(0, -1), cache.subarray(0, 10), Buffer.alloc(0)]) {
      writeFileSync(`${file}.cache`, damaged);
      expect(run()).toEqual({ stdout: "one", isCached: false });
      expect(run().isCached).toBe(true);
    }
  });
});
