import { cpSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { spawnSync } from "node:child_process";
import { compileByteCode } from "./byte-code-program";
import { environmentOf, LAYER, supportedPythons } from "./python-program";
import { createTestDirectory } from "../test-directory";

it("is what every Python from 3.7 on loads, whatever the times of the files", async () => {
  const pythons = supportedPythons().filter(({ version }) => version !== "3.6");
  const layer = mkdtempSync(join(tmpdir(), "murmur layer-"));
  const directory = createTestDirectory([{ generation: 2, set: { TOKEN: "new" } }]);
  for (const name of readdirSync(LAYER).filter((file) => file.endsWith(".py")))
    cpSync(join(LAYER, name), join(layer, name));
  try {
    await compileByteCode(layer, pythons.map(({ path }) => dirname(path)).join(delimiter));
    const env = {
      ...environmentOf({ directory: directory.path, generation: 2, block: { TOKEN: "new" } }),
      PYTHONPATH: layer,
    };
    const source = "import os, murmur_env; print(murmur_env.generation(), os.environ['TOKEN'])";
    for (const { path } of pythons) {
      const run = spawnSync(path, ["-v", "-c", source], { env, encoding: "utf8" });
      expect(run.stdout).toBe("2 new\n");
      for (const name of ["sitecustomize", "murmur_live", "murmur_files", "murmur_env"])
        expect(run.stderr).toMatch(new RegExp(`matches .*murmur layer-\\w+/${name}\\.py`));
    }
  } finally {
    directory.remove();
    rmSync(layer, { recursive: true, force: true });
  }
});

it("does without where there is no Python, or one that fails", async () => {
  const layer = mkdtempSync(join(tmpdir(), "murmur layer-"));
  try {
    await compileByteCode(layer, undefined);
    await compileByteCode(layer, process.execPath);
    for (const { path } of supportedPythons(true)) await compileByteCode(layer, dirname(path));
    expect(readdirSync(join(layer, "__pycache__"))).toEqual([]);
  } finally {
    rmSync(layer, { recursive: true, force: true });
  }
});
