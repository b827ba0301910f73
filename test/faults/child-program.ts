import { buildSync } from "esbuild";
import { mkdtempSync, chmodSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A program of this folder, compiled, that any user may run. */
export interface ChildProgram {
  path: string;
  /** For other files of the test that other users may read. */
  directory: string;
  remove(): void;
}

/** Compiles `entry`, a TypeScript file in this folder, for plain node. */
export function compileChild(entry: string): ChildProgram {
  const directory = mkdtempSync(join(tmpdir(), "murmur-child-"));
  chmodSync(directory, 0o755);
  const path = join(directory, "child.js");
  buildSync({
    entryPoints: [join(__dirname, entry)],
    outfile: path,
    bundle: true,
    platform: "node",
    target: "node20",
    logLevel: "error",
  });
  return {
    path,
    directory,
    remove: () => {
      rmSync(directory, { recursive: true });
    },
  };
}
