import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { isArchived, makeArchive } from "./python/archive";

/** One file of a layer as agents' programs find it below MURMUR_LIVE_DIR. */
interface LayerFile {
  path: string;
  content: Buffer;
}

const SHIPPED = /\.(?:cjs|py|bash|so)$/;
const PREBUILT = /\/prebuilt\/([^/]+)\//;

/**
 * Copies the layers to `<runDir>/live-env/<hash of their content>`, readable by all and writable by
 * the daemon alone, and returns that directory. A path is never written again: agents outlive the
 * daemon and its updates, and a Node whose preload is missing does not start.
 */
export function installLayers(from: string, runDir: string): string {
  const files = listFiles(from);
  const digest = createHash("sha256");
  for (const { path, content } of files)
    digest.update(`${path}\0${content.length}\0`).update(content);
  const into = join(runDir, "live-env", digest.digest("hex").slice(0, 16));
  if (existsSync(into)) return into;
  const fresh = `${into}.tmp-${process.pid}`;
  rmSync(fresh, { recursive: true, force: true });
  makeDirectory(dirname(into));
  makeDirectory(fresh);
  for (const { path, content } of files) {
    makeDirectory(dirname(join(fresh, path)));
    writeFileSync(join(fresh, path), content, { mode: 0o444 });
    chmodSync(join(fresh, path), path.endsWith(".so") ? 0o555 : 0o444);
  }
  renameSync(fresh, into);
  return into;
}

/**
 * Sorted by path; objects for this machine's processor only, beside the rest of their layer, and
 * what Python finds by name in `python.zip`.
 */
function listFiles(from: string): LayerFile[] {
  const files: LayerFile[] = [];
  const archived = new Map<string, Buffer>();
  for (const path of readdirSync(from, { recursive: true, encoding: "utf8" })) {
    const processor = PREBUILT.exec(path)?.[1];
    if (!SHIPPED.test(path) || (processor !== undefined && processor !== process.arch)) continue;
    const content = readFileSync(join(from, path));
    if (dirname(path) === "python" && isArchived(basename(path)))
      archived.set(basename(path), content);
    else files.push({ path: path.replace(PREBUILT, "/"), content });
  }
  files.push({ path: "python.zip", content: makeArchive(archived) });
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

function makeDirectory(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o755 });
  chmodSync(path, 0o755);
}
