import type { SecretRef } from "./environment-set";
import { PROFILE_NAME } from "./secret-name";

export interface DeveloperFacts {
  /** The developer's secrets. */
  refs: readonly SecretRef[];
  /** Name of the one that the profile makes to GH_TOKEN. */
  tokenSecret: string | undefined;
}

/** What an agent gets of the developer who spawned its tree. */
export interface DeveloperScope {
  refs: readonly SecretRef[];
  /** What the profile names and is not there, as `provider/username/NAME`. */
  missingPaths: readonly string[];
  /** Whether a pin of an earlier generation is one that the developer still gives. */
  isTaken(pin: SecretRef): boolean;
}

/**
 * The developer's secrets under their own names, and as GH_TOKEN the one that the profile names for
 * it: a secret of that very name is not delivered unless the profile says so.
 */
export function developerScope(developer: string, facts: DeveloperFacts): DeveloperScope {
  const { refs, tokenSecret } = facts;
  const named = refs.find(({ name }) => name === tokenSecret);
  const others = refs.filter(({ name }) => name !== PROFILE_NAME);
  const isMissing = tokenSecret !== undefined && !named;
  return {
    refs: named ? [...others, { ...named, name: PROFILE_NAME }] : others,
    missingPaths: isMissing ? [`${developer}/${tokenSecret}`] : [],
    isTaken: ({ name, source }) =>
      source?.developer === developer &&
      (name !== PROFILE_NAME || (tokenSecret !== undefined && source.name === tokenSecret)),
  };
}
