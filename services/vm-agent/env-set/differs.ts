import { type EnvFilesContext } from "./agent-directory";
import { type EnvSet } from "./env-set";
import { EnvSetError } from "./env-set-error";
import { type Placement, toEnvironment } from "./environment";
import { readCurrent } from "./read-current";
import { readValues } from "./read-values";

/**
 * Whether a set would change what an agent's programs see: its names, values and files; the number
 * of its generation is none of those. False where no set stands, for then no program runs yet;
 * true where what stands cannot be read.
 */
export function differs(context: EnvFilesContext, set: EnvSet, placement: Placement): boolean {
  try {
    const current = readCurrent(context, set.agentId);
    if (!current) return false;
    const { entries, files } = toEnvironment(set, placement);
    const next = entries.filter(({ name }) => !isOurs(name));
    const known = [...current.variables].filter(([name]) => !isOurs(name));
    const names = files.map(({ name }) => name);
    const stand = readValues(context, set.agentId, names)?.values;
    return (
      next.length !== known.length ||
      next.some(({ name, value }) => !current.variables.get(name)?.expose().equals(value)) ||
      files.some(({ name, value }) => !stand?.get(name)?.expose().equals(value))
    );
  } catch (error) {
    if (!(error instanceof EnvSetError)) throw error;
    return true;
  }
}

function isOurs(name: string): boolean {
  return name.startsWith("MURMUR_");
}
