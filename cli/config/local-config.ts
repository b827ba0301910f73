import { readFileSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { isMap, isScalar, parseDocument } from "yaml";
import { type Environment } from "../../lib/config";
import { sensitive, type Sensitive } from "../../lib/sensitive";
import { LocalError } from "../errors";
import { findNearest } from "./nearest";

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

/** A file planted in a shared directory could have secrets sent to an address of its author. */
function refuseForeign(path: string): void {
  const self = process.getuid?.();
  const { uid } = statSync(path);
  if (self !== undefined && uid !== self && uid !== 0)
    throw new LocalError(
      `${path} belongs to another user`,
      "Name the file in MURMUR_CONFIG if you trust it.",
    );
}

/** Reads it. Throws LocalError that names the file and the key, never a value. */
export function readLocalConfig(path: string | undefined): LocalConfig {
  const values = path === undefined ? new Map<string, string>() : readTexts(path);
  const token = values.get("token");
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

/** Texts at the top of a YAML file for the keys that we know; other keys are others' business. */
export function readTexts(path: string, keys: readonly string[] = KEYS): Map<string, string> {
  // Pretty errors would quote the line, and with it the token.
  const document = parseDocument(readText(path), { prettyErrors: false });
  const fault = document.errors[0];
  if (fault) throw new LocalError(`${path} is not YAML (${fault.code})`);
  const values = new Map<string, string>();
  if (document.contents === null) return values;
  if (!isMap(document.contents)) throw new LocalError(`${path} must hold keys and values`);
  for (const key of keys) {
    const node = document.get(key, true);
    if (node === undefined || (isScalar(node) && node.value === null)) continue;
    const text = isScalar(node)
      ? typeof node.value === "string"
        ? node.value
        : node.source
      : undefined;
    if (text === undefined) throw new LocalError(`${path}: ${key} must be a text`);
    if (text !== "") values.set(key, text);
  }
  return values;
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "unknown";
    throw new LocalError(
      `cannot read ${path} (${code})`,
      "Check MURMUR_CONFIG, or run murmur auth.",
    );
  }
}
