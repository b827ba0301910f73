import {
  chmodSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { spawnSync } from "node:child_process";
import { eventually } from "../../../../test/harness/eventually";
import { isAlive, readProcess } from "../../linux/proc";
import { compileByteCode } from "./byte-code-program";
import { environmentOf, LAYER, supportedPythons } from "./python-program";
import { createTestDirectory } from "../test-directory";

const NEVER = new AbortController().signal;

it("is what every Python from 3.7 on loads, whatever the times of the files", async () => {
  const pythons = supportedPythons().filter(({ version }) => version !== "3.6");
  const layer = mkdtempSync(join(tmpdir(), "murmur layer-"));
  const directory = createTestDirectory([{ generation: 2, set: { TOKEN: "new" } }]);
  for (const name of readdirSync(LAYER).filter((file) => file.endsWith(".py")))
    cpSync(join(LAYER, name), join(layer, name));
  try {
    await compileByteCode(layer, pythons.map(({ path }) => dirname(path)).join(delimiter), NEVER);
    const cache = join(layer, "__pycache__");
    for (const name of [cache, ...readdirSync(cache).map((file) => join(cache, file))])
      expect([name, statSync(name).mode & 0o777]).toEqual([name, name === cache ? 0o755 : 0o444]);
    const env = {
      ...environmentOf({ directory: directory.path, generation: 2, block: { TOKEN: "new" } }),
      PYTHONPATH: layer,
    };
    const source = "import os, murmur_env; print(murmur_env.generation(), os.environ['TOKEN'])";
    // A source that is read is noticed.
    for (const name of ["sitecustomize", "murmur_live", "murmur_files", "murmur_env"])
      writeFileSync(join(layer, `${name}.py`), "import os; os.write(1, b'from its source')");
    for (const { path } of pythons) {
      const run = spawnSync(path, ["-c", source], { env, encoding: "utf8" });
      expect(run.stdout).toBe("2 new\n");
    }
  } finally {
    directory.remove();
    rmSync(layer, { recursive: true, force: true });
  }
}, 120_000);

it("does without where there is no Python, or one that fails", async () => {
  const layer = mkdtempSync(join(tmpdir(), "murmur layer-"));
  try {
    await compileByteCode(layer, undefined, NEVER);
    await compileByteCode(layer, process.execPath, NEVER);
    for (const { path } of supportedPythons(true))
      await compileByteCode(layer, dirname(path), NEVER);
    expect(readdirSync(layer)).toEqual([]);
  } finally {
    rmSync(layer, { recursive: true, force: true });
  }
}, 120_000);

it("leaves neither a program nor a file behind once it was stopped", async () => {
  const layer = mkdtempSync(join(tmpdir(), "murmur layer-"));
  const bin = mkdtempSync(join(tmpdir(), "murmur bin-"));
  const note = join(bin, "pid");
  writeFileSync(join(bin, "python3"), `#!/bin/sh\necho $$ >'${note}'\nexec /bin/sleep 1000\n`);
  chmodSync(join(bin, "python3"), 0o755);
  try {
    const stop = new AbortController();
    const compiling = compileByteCode(layer, bin, stop.signal);
    const pid = await eventually(() => {
      expect(existsSync(note)).toBe(true);
      return Number(readFileSync(note, "utf8").match(/^\d+\n/)![0]);
    });
    const program = readProcess(pid)!;
    stop.abort();
    await compiling;
    expect(isAlive(program)).toBe(false);
    await compileByteCode(layer, bin, stop.signal);
    expect(readdirSync(layer)).toEqual([]);
  } finally {
    rmSync(layer, { recursive: true, force: true });
    rmSync(bin, { recursive: true, force: true });
  }
});
