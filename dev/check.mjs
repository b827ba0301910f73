// npm run check: format, lint, types, no unused exports, that gen/ is what proto/ makes, that the dashboard fits the routes that
// there are, and that the objects of live-env are what their C sources make. Runs all, then says what failed. Last line: `N passed, N failed`.
import { spawnSync } from "node:child_process";
import {
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  existsSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

const CHECKS = {
  // What the others know of the routes.
  rest: () => script("generate-rest-types.mjs"),
  format: () => tool("prettier/bin/prettier.cjs", "--check", "--log-level", "warn", "."),
  lint: () => tool("eslint/bin/eslint.js", "--max-warnings", "0", "."),
  types: () =>
    tool("typescript/bin/tsc", "-p", ".") && tool("typescript/bin/tsc", "-p", "dashboard"),
  unused: () => tool("knip/bin/knip.js", "--no-progress"),
  proto: isGeneratedCurrent,
  native: () => script("build-native.mjs", "--check"),
};

const failed = Object.entries(CHECKS).filter(([name, check]) => {
  const startMs = performance.now();
  const isGood = check();
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
  process.stdout.write(`${isGood ? "ok    " : "FAILED"} ${name} (${seconds} s)\n`);
  return !isGood;
});
const passed = Object.keys(CHECKS).length - failed.length;
process.stdout.write(`${passed} passed, ${failed.length} failed\n`);
process.exitCode = failed.length === 0 ? 0 : 1;

function tool(path, ...args) {
  return node(join(root, "node_modules", path), args);
}

function script(name, ...args) {
  return node(join(root, "dev", name), args);
}

function node(file, args) {
  return spawnSync(process.execPath, [file, ...args], { cwd: root, stdio: "inherit" }).status === 0;
}

/** Generates into a copy, so that a check changes nothing. */
function isGeneratedCurrent() {
  const copy = mkdtempSync(join(tmpdir(), "murmur-proto-check-"));
  try {
    for (const name of ["proto", "buf.yaml", "buf.gen.yaml", "dev/generate-proto.mjs", "docs"]) {
      cpSync(join(root, name), join(copy, name), { recursive: true });
    }
    symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
    const script = join(copy, "dev/generate-proto.mjs");
    const { status } = spawnSync(process.execPath, [script], { cwd: copy, stdio: "inherit" });
    return status === 0 && ["gen", "docs"].every((name) => isSameTree(name, copy));
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

function isSameTree(name, copy) {
  const [ours, made] = [join(root, name), join(copy, name)];
  const [left, right] = [filesIn(ours), filesIn(made)];
  const all = [...new Set([...left, ...right])];
  const different = all.filter((file) => {
    const paths = [join(ours, file), join(made, file)];
    return !paths.every(existsSync) || !readFileSync(paths[0]).equals(readFileSync(paths[1]));
  });
  for (const file of different) process.stdout.write(`${name}/${file} is not what proto/ makes\n`);
  return different.length === 0;
}

function filesIn(directory) {
  if (!existsSync(directory)) return [];
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(directory.length + 1));
}
