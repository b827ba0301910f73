import { dirname, join } from "node:path";

/** Names that every program of the tests has. */
export const NOT_SHOWN = /^(MURMUR_|PATH$|NODE_OPTIONS$)/;

/** For tests: the environment that the daemon gives to a program whose node layer is on. */
export function liveEnvironment(
  directory: string,
  block: Record<string, string>,
  generation?: number,
): Record<string, string> {
  const preload = join(__dirname, "preload.cjs");
  return {
    PATH: `${dirname(process.execPath)}:/usr/bin:/bin`,
    MURMUR_DIR: directory,
    MURMUR_LIVE_DIR: dirname(__dirname),
    MURMUR_LIVE: "exec,bash,node,python",
    NODE_OPTIONS: `--require "${preload}"`,
    ...(generation === undefined ? {} : { MURMUR_GENERATION: String(generation) }),
    ...block,
  };
}
