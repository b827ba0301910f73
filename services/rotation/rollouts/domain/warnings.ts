import type { Snapshot } from "./plan-rekey";

/** One warning for each name that a workspace or a profile refers to and that does not exist. */
export function missingNamesWarnings(
  agents: readonly { id: string; workspace: string }[],
  snapshots: readonly Pick<Snapshot, "agentId" | "missingNames">[],
): string[] {
  const workspaceOf = new Map(agents.map(({ id, workspace }) => [id, workspace]));
  const warnings = snapshots.flatMap(({ agentId, missingNames }) =>
    missingNames.map((name) => toWarning(name, workspaceOf.get(agentId) ?? "")),
  );
  return [...new Set(warnings)].sort();
}

/** One warning for each name that a rollback could not take back. */
export function notRolledBackWarnings(
  snapshots: readonly Pick<Snapshot, "notRolledBackNames">[],
): string[] {
  const names = new Set(snapshots.flatMap(({ notRolledBackNames }) => notRolledBackNames));
  return [...names]
    .sort()
    .map((name) => `"${name}" was deleted, revoked or taken away since: it stays as it is now`);
}

/** A developer's secret has its path for a name, and is one that the developer's profile names. */
function toWarning(name: string, workspace: string): string {
  return name.includes("/")
    ? `secret "${name}" in github_token_secret does not exist: GH_TOKEN is not set`
    : `secret "${name}" in secret_refs of workspace "${workspace}" does not exist`;
}
