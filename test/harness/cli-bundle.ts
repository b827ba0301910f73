import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import type { Part } from "../../dev/parts/part";

/** Bundles the CLI as the build does, for all tests of a run. */
export async function bundleCli(): Promise<Pick<Part, "stop"> & { file: string }> {
  const directory = mkdtempSync(join(tmpdir(), "murmur-cli-bundle-"));
  const file = join(directory, "cli.js");
  const stop = () => rm(directory, { recursive: true, force: true });
  try {
    await build({
      entryPoints: [join(__dirname, "../../cli/main.ts")],
      outfile: file,
      bundle: true,
      platform: "node",
      target: "node20",
      format: "cjs",
      minify: true,
      alias: { "@grpc/grpc-js": join(__dirname, "../../cli/grpc/instead-of-grpc-js.ts") },
      logLevel: "error",
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return { file, stop };
}
