import type { Log } from "../../../lib/log";
import { installLayers } from "./install";
import type { InstalledLayers } from "./launch";
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
