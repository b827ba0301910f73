import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { spawnSync } from "node:child_process";
import { delimiter, dirname, join } from "node:path";
import { unzipSync } from "fflate";
import { eventually } from "../../../../test/harness/eventually";
import { isAlive, readProcess } from "../../linux/proc";
import { compileByteCode } from "./byte-code-program";
import { installLayers } from "../install";
import { environmentOf, findPythons, start, supportedPythons, type Python } from "./python-program";
import { createTestDirectory } from "../test-directory";

const NEVER = new AbortController().signal;

const SHIPPED = dirname(__dirname);

/** What a daemon installs, in a place of its own. */
function install(): { layers: string; remove: () => void } {
  const runDir = mkdtempSync(join(tmpdir(), "murmur layers-"));
  const layers = installLayers(SHIPPED, runDir);
  return { layers, remove: () => rmSync(runDir, { recursive: true, force: true }) };
}

function entriesOf(archive: Buffer): string[] {
  return Object.keys(unzipSync(archive));
}

it("is what every Python from 3.7 on loads, whatever the times of the files", async () => {
  const pythons = supportedPythons().filter(({ version }) => version !== "3.6");
  const { layers, remove } = install();
  const directory = createTestDirectory([{ generation: 2, set: { TOKEN: "new" } }]);
  try {
    await compileByteCode(layers, pythons.map(({ path }) => dirname(path)).join(delimiter), NEVER);
    const cache = join(layers, "python/__pycache__");
    for (const name of [cache, ...readdirSync(cache).map((file) => join(cache, file))])
      expect([name, statSync(name).mode & 0o777]).toEqual([name, name === cache ? 0o755 : 0o444]);
    const env = {
      ...environmentOf({
        ...{ directory: directory.path, generation: 2, block: { TOKEN: "new" } },
        layer: `${layers}/python.zip`,
      }),
    };
    const source = "import os, murmur_env; print(murmur_env.generation(), os.environ['TOKEN'])";
    // A source that is read is noticed.
    for (const name of ["murmur_live", "murmur_files", "murmur_changes"]) {
      rmSync(join(layers, "python", `${name}.py`));
      writeFileSync(join(layers, "python", `${name}.py`), "import os; os.write(1, b'its source')");
    }
    for (const { path } of pythons) {
      const run = spawnSync(path, ["-c", source], { env, encoding: "utf8" });
      expect({ path, stdout: run.stdout, stderr: run.stderr }).toEqual({
        ...{ path, stdout: "2 new\n", stderr: "" },
      });
    }
  } finally {
    directory.remove();
    remove();
  }
}, 120_000);

it("of the first Python is in the archive, once, and every other takes the source there", async () => {
  const [first, ...others] = supportedPythons(true)
    .filter(({ version }) => version !== "3.6")
    .reverse();
  const { layers, remove } = install();
  try {
    const archive = join(layers, "python.zip");
    const compileFor = (...pythons: Python[]) =>
      compileByteCode(layers, pythons.map(({ path }) => dirname(path)).join(delimiter), NEVER);
    await compileFor(first!, ...others);
    const grown = readFileSync(archive);
    expect(entriesOf(grown)).toEqual([
      ...["murmur_env.py", "sitecustomize.py", "murmur_env.pyc", "sitecustomize.pyc"],
    ]);
    expect(statSync(archive).mode & 0o777).toBe(0o444);
    await compileFor(first!);
    expect(readFileSync(archive).equals(grown)).toBe(true);
    const source = "import murmur_env as m, sitecustomize as s; print(m.__file__, s.__file__)";
    const env = { PYTHONPATH: archive };
    const cached = ({ path }: Python) =>
      spawnSync(path, ["-c", source], {
        ...{ env, encoding: "utf8" },
      }).stdout.trim();
    expect(cached(first!)).toBe(`${archive}/murmur_env.pyc ${archive}/sitecustomize.pyc`);
    for (const other of [...others, ...findPythons().filter(({ version }) => version === "3.6")])
      expect(cached(other)).toBe(`${archive}/murmur_env.py ${archive}/sitecustomize.py`);
  } finally {
    remove();
  }
}, 120_000);

it("leaves what is in the archive where it is, for programs that know its places", async () => {
  const [python] = supportedPythons(true).reverse();
  const { layers, remove } = install();
  const archive = join(layers, "python.zip");
  const program = start(python!, {
    ...{ directory: "/nowhere", generation: undefined },
    layer: archive,
  });
  try {
    expect(await program.step("result = sys.modules['sitecustomize'].__file__")).toBe(
      `${archive}/sitecustomize.py`,
    );
    const before = readFileSync(archive);
    await compileByteCode(layers, dirname(python!.path), NEVER);
    const after = readFileSync(archive);
    // The list of what there is, which comes last, has moved.
    const list = before.readUInt32LE(before.length - 6);
    expect(after.subarray(0, list).equals(before.subarray(0, list))).toBe(true);
    expect(after.length).toBeGreaterThan(before.length);
    const imports = "import murmur_env; result = [murmur_env.__file__, murmur_env.generation()]";
    expect(await program.step(imports)).toEqual([`${archive}/murmur_env.py`, null]);
  } finally {
    await program.end();
    remove();
  }
}, 120_000);

it("does without where there is no Python, or one that fails", async () => {
  const layers = mkdtempSync(join(tmpdir(), "murmur layers-"));
  try {
    await compileByteCode(layers, undefined, NEVER);
    await compileByteCode(layers, process.execPath, NEVER);
    for (const { path } of supportedPythons(true))
      await compileByteCode(layers, dirname(path), NEVER);
    expect(readdirSync(layers)).toEqual([]);
  } finally {
    rmSync(layers, { recursive: true, force: true });
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
