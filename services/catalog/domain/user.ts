import type { FieldViolation } from "../../../lib/errors";
import { isDeveloperName } from "../../../lib/identity/developer-name";
import { quoted } from "../../../lib/quoted";
import { countFault } from "./secret";
import { nameFault, programStartFault } from "./secret-name";

/** A developer's profile. */
export interface User {
  /** `provider/username`. */
  name: string;
  /** Name of the developer's secret that becomes GH_TOKEN. */
  githubTokenSecret: string | undefined;
  revision: bigint;
  createdAt: Date;
  updatedAt: Date;
  updatedBy: string;
}

/** A profile as a caller wants it to be. */
export interface UserWrite {
  name: string;
  /** `NAME`, or `provider/username/NAME` of the same developer; empty: none. */
  githubTokenSecret: string;
  /** 0 means "does not exist". */
  expectedRevision: bigint | undefined;
}

/** What is wrong with the name of a developer. */
export function userNameFault(name: string): string | undefined {
  return isDeveloperName(name) ? undefined : `user ${quoted(name)} must be provider/username`;
}

/** Everything that is wrong with a write; the first gives the message. */
export function userFaults(write: UserWrite): FieldViolation[] {
  const faults: [string, string | undefined][] = [
    ["name", userNameFault(write.name)],
    ["github_token_secret", tokenSecretFault(write)],
    ["expected_revision", countFault("expected_revision", write.expectedRevision)],
  ];
  return faults.flatMap(([field, text]) =>
    text === undefined ? [] : [{ field, description: text }],
  );
}

/** The name alone of the secret that a profile names; undefined for none. */
export function tokenSecretName({ name, githubTokenSecret }: UserWrite): string | undefined {
  if (githubTokenSecret === "") return undefined;
  const own = `${name}/`;
  return githubTokenSecret.startsWith(own)
    ? githubTokenSecret.slice(own.length)
    : githubTokenSecret;
}

function tokenSecretFault(write: UserWrite): string | undefined {
  const name = tokenSecretName(write);
  if (name === undefined) return undefined;
  if (name.includes("/"))
    return `github_token_secret ${quoted(write.githubTokenSecret)} must be a secret of ${write.name}`;
  return nameFault(name, "user") ?? programStartFault(name);
}
