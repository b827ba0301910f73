import { quoted } from "../../../lib/quoted";
import { changesProgramStart } from "./program-start-names";

/** Also what the name of an environment variable may be. */
const NAME = /^[A-Z][A-Z0-9_]*$/;
const MAX_NAME_BYTES = 255;
const INTERNAL_PREFIX = "MURMUR_";
/** Filled by the developer's profile, which names one of the developer's secrets for it. */
export const PROFILE_NAME = "GH_TOKEN";

/** Tenant secrets may not be called GH_TOKEN: that one comes from the developer's profile. */
export type SecretScope = "tenant" | "user" | "spawn";

/** Whether a secret can have this name at all: others need not be looked for. */
export function isSecretName(name: string): boolean {
  return name.length <= MAX_NAME_BYTES && NAME.test(name);
}

/** What is wrong with the form of a name, or with a name that the product keeps for itself. */
export function nameFault(name: string, scope: SecretScope): string | undefined {
  const subject = `secret name ${quoted(name)}`;
  if (!NAME.test(name)) return `${subject} must match [A-Z][A-Z0-9_]*`;
  if (name.length > MAX_NAME_BYTES) return `${subject} exceeds ${MAX_NAME_BYTES} byte limit`;
  if (name.startsWith(INTERNAL_PREFIX)) return `${subject} is reserved (MURMUR_* is internal)`;
  if (scope === "tenant" && name === PROFILE_NAME)
    return `${subject} is reserved — it is automatically populated from the developer profile`;
  return undefined;
}

/** What is wrong with a name that would let a secret decide which code an agent runs. */
export function programStartFault(name: string): string | undefined {
  if (!changesProgramStart(name)) return undefined;
  return `secret name ${quoted(name)} is reserved — it changes how programs start`;
}

/** What is wrong with deleting a name. */
export function deleteNameFault(name: string, scope: SecretScope = "tenant"): string | undefined {
  const isProfiles = scope === "tenant" && name === PROFILE_NAME;
  if (isProfiles || (NAME.test(name) && name.startsWith(INTERNAL_PREFIX)))
    return `secret name ${quoted(name)} is reserved and cannot be deleted`;
  return nameFault(name, scope);
}

/** The name of the environment variable that a secret fills. */
export function variableOf(name: string, asFile: boolean): string {
  return asFile ? `${name}_FILE` : name;
}
