// Bundles every entry point into dist/, each a CommonJS file of its own, so that starting one loads
// what it uses and nothing else. Packages with native parts stay in node_modules.
import { build } from "esbuild";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildDashboard } from "./build-dashboard.mjs";
import { BUILD_OPTIONS, ENTRY_POINTS } from "./entry-points.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const dist = join(root, "dist");
const LAYERS = "services/vm-agent/live-env";

const started = new Date();
const entryPoints = Object.entries(ENTRY_POINTS).filter(([, source]) => {
  const isThere = existsSync(join(root, source));
  if (!isThere) process.stderr.write(`build: ${source} is not there, left out\n`);
  return isThere;
});
mkdirSync(dist, { recursive: true });
copyMigrations();
await copyLayers();
const dashboardInputs = await buildDashboard();
// One that is broken does not keep the others from being built.
const outcomes = await Promise.allSettled(entryPoints.map(bundle));
process.exitCode = outcomes.every(({ status }) => status === "fulfilled") ? 0 : 1;

async function bundle([name, source]) {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: { [name]: source },
    outdir: dist,
    bundle: true,
    platform: "node",
    target: "node20",
    format: "cjs",
    sourcemap: "linked",
    sourcesContent: false,
    legalComments: "none",
    external: [
      "koffi",
      "pg-native",
      "pg-cloudflare",
      "@opentelemetry/sdk-node",
      "grpc-health-check",
      "@grpc/reflection",
    ],
    metafile: true,
    logLevel: "warning",
    ...BUILD_OPTIONS[name],
  });
  noteInputs(name, Object.keys(metafile.inputs));
}

function copyMigrations() {
  const into = join(dist, "migrations");
  rmSync(into, { recursive: true, force: true });
  for (const service of readdirSync(join(root, "services"))) {
    const from = join(root, "services", service, "migrations");
    if (existsSync(from)) cpSync(from, join(into, service), { recursive: true });
  }
}

/**
 * What runs inside agents' programs, as it is; whoever installs it picks what to ship. Node's as small
 * as can be, since every start of a program compiles it: what a start needs in one file, all the rest
 * in another.
 */
async function copyLayers() {
  const into = join(dist, "live-env");
  rmSync(into, { recursive: true, force: true });
  for (const path of layerFiles().filter((path) => !path.endsWith(".cjs")))
    cpSync(join(root, path), join(dist, basename(LAYERS), path.slice(LAYERS.length)));
  for (const [name, bundle] of [
    ["preload.cjs", false],
    ["live.cjs", true],
  ])
    await build({
      absWorkingDir: root,
      entryPoints: [join(LAYERS, "node", name)],
      outfile: join(into, "node", name),
      bundle,
      minify: true,
      platform: "node",
      format: bundle ? "cjs" : undefined,
      target: "node14",
      // Comments are lost otherwise; what it does is told in the sources.
      banner: { js: '"use strict";\n/* node:coverage disable */' },
      logLevel: "warning",
    });
}

function layerFiles() {
  const files = readdirSync(join(root, LAYERS), { recursive: true, encoding: "utf8" });
  return files
    .filter((path) => /\.(?:cjs|py|bash|so)$/.test(path))
    .map((path) => join(LAYERS, path));
}

/** Beside each bundle the list of what went into it; its time is the start of the build. */
function noteInputs(name, inputs) {
  const own = inputs.filter((path) => !path.includes("node_modules/"));
  if (name === "vm-agent") own.push(...layerFiles());
  if (name === "gateway")
    own.push(...dashboardInputs.filter((path) => !path.includes("node_modules/")));
  const list = join(dist, `${name}.inputs`);
  writeFileSync(list, [...own, "package-lock.json", "dev/build.mjs"].join("\n"));
  utimesSync(list, started, started);
}
