import { statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { type Environment } from "../../lib/config";
import { sensitive, type Sensitive } from "../../lib/sensitive";
import { LocalError } from "../errors";
import { isTokenLike } from "../input/token";
import { findNearest } from "./nearest";
import { readTexts } from "./read-texts";

export const LOCAL_CONFIG = "murmur.local.yaml";
export const SHARED_CONFIG = "murmur.yaml";

/** What a developer's murmur.local.yaml says; a key that it lacks is undefined. */
export interface LocalConfig {
  /** Where it was read; undefined when there is none. */
  path: string | undefined;
  /** `host:port`. */
  catalog: string | undefined;
  rotation: string | undefined;
  gateway: string | undefined;
  tenant: string | undefined;
  workspace: string | undefined;
  token: Sensitive<string> | undefined;
  /** Absolute path of the certificates that vouch for the services; without it TLS is not used. */
  caFile: string | undefined;
}

/** The file that `MURMUR_CONFIG` names, else the nearest above the working directory. */
export function findLocalConfig(env: Environment, cwd: string): string | undefined {
  const named = env["MURMUR_CONFIG"];
  if (named) return resolve(cwd, named);
  const found = findNearest(LOCAL_CONFIG, cwd);
  if (found !== undefined) refuseForeign(found);
  return found;
}

/**
 * A file planted in a shared directory could have secrets sent to an address of its author, or its
 * commands run. Throws LocalError.
 */
export function refuseForeign(path: string): void {
  const self = process.getuid?.();
  const { uid } = statSync(path);
  if (self !== undefined && uid !== self && uid !== 0)
    throw new LocalError(
      `${path} belongs to another user`,
      "Name the file in MURMUR_CONFIG if you trust it.",
    );
}

/** Reads it. Throws LocalError that names the file and the key, never a value. */
export async function readLocalConfig(path: string | undefined): Promise<LocalConfig> {
  const values = path === undefined ? new Map<string, string>() : await readTexts(path, KEYS);
  const token = values.get("token");
  if (token !== undefined && !isTokenLike(token))
    throw new LocalError(`${path ?? ""}: token is no identity token`, "Run murmur auth.");
  const caFile = values.get("ca_file");
  return {
    path,
    catalog: values.get("catalog"),
    rotation: values.get("rotation"),
    gateway: values.get("gateway"),
    tenant: values.get("tenant"),
    workspace: values.get("workspace"),
    token: token === undefined ? undefined : sensitive(token),
    caFile: path && caFile ? resolve(dirname(path), caFile) : undefined,
  };
}

const KEYS = ["catalog", "rotation", "gateway", "tenant", "workspace", "token", "ca_file"];
