import type { Snapshot } from "./plan-rekey";

/** One warning for each name that a workspace refers to and that does not exist. */
export function missingNamesWarnings(
  agents: readonly { id: string; workspace: string }[],
  snapshots: readonly Pick<Snapshot, "agentId" | "missingNames">[],
): string[] {
  const workspaceOf = new Map(agents.map(({ id, workspace }) => [id, workspace]));
  const warnings = snapshots.flatMap(({ agentId, missingNames }) =>
    missingNames.map(
      (name) =>
        `secret "${name}" in secret_refs of workspace "${workspaceOf.get(agentId) ?? ""}" does not exist`,
    ),
  );
  return [...new Set(warnings)].sort();
}
