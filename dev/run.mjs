// node dev/run.mjs <script> [arguments]: runs a script of package.json on any clone. It installs the
// packages and builds what the script needs first, when they are missing or stale, and says so.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { ENTRY_POINTS } from "./entry-points.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const inRoot = (...path) => join(root, ...path);
const say = (text) => process.stderr.write(`${text}\n`);
const timeOf = (path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs;

/** What each script runs, and whether that needs the bundles. */
const SCRIPTS = {
  start: { main: "dist/start.js", isBundled: true },
  demo: { main: "dist/demo.js", isBundled: true },
  bench: { main: "dist/bench.js", isBundled: true },
  migrate: { main: "dist/migrate.js", isBundled: true },
  test: { main: "node_modules/jest/bin/jest.js", isBundled: true },
  check: { main: "dev/check.mjs" },
  proto: { main: "dev/generate-proto.mjs" },
  rest: { main: "dev/generate-rest-types.mjs" },
  build: { main: "dev/build.mjs" },
  // For those who start bundles themselves: bin/murmur and the tests.
  prepare: { isBundled: true },
};

const [name, ...args] = process.argv.slice(2);
const script = SCRIPTS[name];
if (!script) fail(`usage: node dev/run.mjs ${Object.keys(SCRIPTS).join("|")}`);
if (Number(process.versions.node.split(".")[0]) < 20) {
  fail(`Node 20 or newer is needed, this is ${process.version}`);
}
if (!isInstalled()) install();
if (script.isBundled && Object.keys(ENTRY_POINTS).some(isStale)) {
  say("building");
  run(process.execPath, [inRoot("dev/build.mjs")]);
}
if (script.main) {
  if (!existsSync(inRoot(script.main))) fail(`${script.main} is not there`);
  // In this process, so that signals and the exit code are the script's own.
  process.argv = [process.argv[0], inRoot(script.main), ...args];
  process.chdir(root);
  await import(pathToFileURL(inRoot(script.main)).href);
}

/**
 * npm refuses a lock that was written where a registry carries one platform only: then the versions
 * of the lock are installed all the same, and the lock is left as it is.
 */
function install() {
  say("installing the packages");
  const quiet = ["--no-audit", "--no-fund", "--loglevel=error"];
  const { status } = spawnSync("npm", ["ci", ...quiet], { cwd: root, stdio: "ignore" });
  if (status !== 0) run("npm", ["install", "--no-save", ...quiet]);
}

/** Whether node_modules holds what package-lock.json asks for. */
function isInstalled() {
  const present = inRoot("node_modules/.package-lock.json");
  const presentMs = timeOf(present);
  if (presentMs === undefined) return false;
  if (presentMs >= timeOf(inRoot("package-lock.json"))) return true;
  const versions = (file) => JSON.parse(readFileSync(file, "utf8")).packages;
  const [wanted, found] = [versions(inRoot("package-lock.json")), versions(present)];
  const isSame = Object.entries(wanted).every(
    ([path, { version, optional, link }]) =>
      path === "" || link || found[path]?.version === version || (optional && !found[path]),
  );
  if (isSame) utimesSync(present, new Date(), new Date());
  return isSame;
}

/** Whether a bundle is missing, or one of its sources is newer than its build. */
function isStale(bundle) {
  if (!existsSync(inRoot(ENTRY_POINTS[bundle]))) return false;
  const list = inRoot("dist", `${bundle}.inputs`);
  const builtMs = timeOf(list);
  if (builtMs === undefined || !existsSync(inRoot("dist", `${bundle}.js`))) return true;
  const sources = readFileSync(list, "utf8")
    .split("\n")
    .map((path) => inRoot(path));
  const migrations = inRoot("services", bundle, "migrations");
  const sql = existsSync(migrations) ? readdirSync(migrations) : [];
  const all = [...sources, ...sql.map((file) => join(migrations, file))];
  return all.some((path) => !(timeOf(path) <= builtMs));
}

function run(command, commandArgs) {
  const { status, error } = spawnSync(command, commandArgs, {
    cwd: root,
    stdio: ["ignore", 2, 2],
  });
  if (status !== 0) fail(`${command} failed${error ? `: ${error.message}` : ""}`);
}

function fail(text) {
  say(text);
  // Whoever counts must see that nothing was run.
  if (name === "test" || name === "check") process.stdout.write("0 passed, 1 failed\n");
  process.exit(1);
}
