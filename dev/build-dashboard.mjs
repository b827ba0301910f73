// Bundles dashboard/ into dist/dashboard/: a page, and assets named after their content, each also
// compressed, so that a gateway compresses nothing by itself.
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join, parse } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const root = fileURLToPath(new URL("..", import.meta.url));
const into = join(root, "dist/dashboard");

/** Returns what went into it, as paths from the root. */
export async function buildDashboard() {
  const { outputFiles, metafile } = await build({
    absWorkingDir: root,
    entryPoints: ["dashboard/main.tsx", "dashboard/style/main.css"],
    entryNames: "[name]",
    outdir: into,
    bundle: true,
    minify: true,
    write: false,
    metafile: true,
    format: "esm",
    target: ["chrome111", "firefox113", "safari16.4"],
    jsx: "automatic",
    jsxImportSource: "preact",
    legalComments: "none",
    logLevel: "warning",
  });
  const assets = new Map(outputFiles.map(({ path, contents }) => [basename(path), contents]));
  assets.set("icon.svg", readFileSync(join(root, "dashboard/icon.svg")));
  rmSync(into, { recursive: true, force: true });
  mkdirSync(join(into, "assets"), { recursive: true });
  // What names the icon has to be named after it.
  const names = new Map();
  for (const name of ["icon.svg", "main.css", "main.js"]) {
    const content = rename(Buffer.from(assets.get(name)).toString(), names);
    const { name: stem, ext } = parse(name);
    const digest = createHash("sha256").update(content).digest("hex").slice(0, 12);
    names.set(name, `${stem}-${digest}${ext}`);
    put(join("assets", names.get(name)), content);
  }
  put("index.html", rename(readFileSync(join(root, "dashboard/index.html"), "utf8"), names));
  return [...Object.keys(metafile.inputs), "dashboard/index.html", "dashboard/icon.svg"];
}

function rename(text, names) {
  let renamed = text;
  for (const [name, hashed] of names)
    renamed = renamed.replaceAll(`/assets/${name}`, `/assets/${hashed}`);
  return renamed;
}

function put(path, content) {
  const bytes = Buffer.from(content);
  const params = { [constants.BROTLI_PARAM_QUALITY]: 11 };
  writeFileSync(join(into, path), bytes);
  writeFileSync(join(into, `${path}.br`), brotliCompressSync(bytes, { params }));
  writeFileSync(join(into, `${path}.gz`), gzipSync(bytes, { level: 9 }));
}
