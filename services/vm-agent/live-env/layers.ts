import type { Log } from "../../../lib/log";
import { installLayers } from "./install";
import type { InstalledLayers } from "./launch";
import { compileByteCode } from "./python/byte-code-program";
import { testLayers } from "./self-test";

export interface LayersDeps {
  /** Where the layers were shipped. */
  from: string;
  runDir: string;
  /** Where programs are looked for. */
  searchPath: string | undefined;
  user: { uid: number; gid: number };
  log: Log;
}

/**
 * Installs the layers for this machine's agents and finds out which work. Never throws: agents are
 * started without what cannot be had, and get new values by their files all the same.
 */
export async function prepareLayers(deps: LayersDeps): Promise<InstalledLayers> {
  try {
    const directory = installLayers(deps.from, deps.runDir);
    return { directory, works: await testLayers({ ...deps, directory }) };
  } catch (error) {
    deps.log.warn("programs of agents will not see new values by themselves", { error });
    return { directory: "", works: [] };
  }
}

/** Makes programs start faster that are started from now on; until then all works as well. */
export async function quickenLayers(
  layers: Promise<InstalledLayers>,
  { searchPath, log }: Pick<LayersDeps, "searchPath" | "log">,
  signal: AbortSignal,
): Promise<void> {
  const { directory, works } = await layers;
  if (!works.includes("python")) return;
  try {
    await compileByteCode(directory, searchPath, signal);
  } catch (error) {
    log.warn("no byte code for the Python layer", { error });
  }
}
