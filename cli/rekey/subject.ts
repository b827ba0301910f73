import { type Rollout } from "../../gen/murmur/rotation/v1/rollouts";

/** What a rollout is of: an agent, the holders of a secret, or all agents of a workspace. */
export function subjectWords({
  path,
  secretName,
  workspace,
}: Pick<Rollout, "path" | "secretName" | "workspace">): string {
  if (path !== "") return path;
  if (secretName !== "") return `--secret ${secretName}`;
  return workspace === "" ? "--all" : `--all of ${workspace}`;
}
