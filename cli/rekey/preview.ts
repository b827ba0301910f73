import {
  type PreviewedAgent,
  type PreviewedChange,
  type RolloutSelection,
} from "../../gen/murmur/rotation/v1/rollouts";
import { type CommandContext, type Invocation } from "../command";
import { table } from "../output/table";
import { patient } from "../patient";

interface Row {
  agent: PreviewedAgent;
  change: PreviewedChange;
}

/** Prints who would change and which names, in JSON when `json` is given. */
export async function previewRekey(
  context: CommandContext,
  call: Invocation,
  selection: RolloutSelection,
): Promise<void> {
  const { output } = context;
  const { rollouts } = await context.rotation();
  const { changes, warnings } = await patient(() => rollouts.previewRekey({ selection }));
  for (const warning of warnings) output.warn(warning);
  const rows = changes
    .flatMap((change) => change.agents.map((agent) => ({ agent, change })))
    .sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  if (call.flag("json")) output.json({ dry_run: true, agents: rows.map(toJson) });
  else output.lines(previewTable(rows, output.style.bold));
}

function keyOf({ agent }: Row): string {
  return `${agent.workspace}\n${agent.path}`;
}

function previewTable(rows: readonly Row[], paintTitle: (text: string) => string): string[] {
  return table(
    rows,
    [
      { title: "WORKSPACE", text: ({ agent }) => agent.workspace },
      { title: "AGENT", text: ({ agent }) => agent.path },
      { title: "VM", text: ({ agent }) => agent.vmName },
      { title: "WOULD CHANGE", text: ({ change }) => changeWords(change) },
    ],
    paintTitle,
  );
}

function changeWords({ addedNames, changedNames, removedNames, refusal }: PreviewedChange): string {
  if (refusal !== "") return `left out: ${refusal}`;
  const parts = [
    ...changedNames,
    ...addedNames.map((name) => `+${name}`),
    ...removedNames.map((name) => `-${name}`),
  ];
  return parts.length === 0 ? "nothing" : parts.join(" ");
}

function toJson({ agent, change }: Row) {
  return {
    agent_id: agent.agentId,
    workspace: agent.workspace,
    path: agent.path,
    vm: agent.vmName,
    added: change.addedNames,
    changed: change.changedNames,
    removed: change.removedNames,
    left_out: change.refusal || undefined,
  };
}
