import { UsageError } from "../errors";
import { type LocalConfig, SHARED_CONFIG } from "./local-config";
import { findNearest } from "./nearest";
import { readTexts } from "./read-texts";

/** The workspace of a command: flag, then murmur.local.yaml, then the nearest murmur.yaml. */
export async function findWorkspace(
  flag: string | undefined,
  local: LocalConfig,
  cwd: string,
): Promise<string | undefined> {
  if (flag !== undefined) return flag;
  if (local.workspace !== undefined) return local.workspace;
  const shared = findNearest(SHARED_CONFIG, cwd);
  if (shared === undefined) return undefined;
  return (await readTexts(shared, ["workspace"])).get("workspace");
}

/** As above; throws UsageError that names the three places when there is none. */
export async function requireWorkspace(
  flag: string | undefined,
  local: LocalConfig,
  cwd: string,
): Promise<string> {
  const workspace = await findWorkspace(flag, local, cwd);
  if (workspace === undefined)
    throw new UsageError(
      "no workspace is named: looked at --workspace, murmur.local.yaml and murmur.yaml",
      "Give --workspace NAME, or write workspace: NAME in one of the two files.",
    );
  return workspace;
}
