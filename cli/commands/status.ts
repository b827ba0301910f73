import { openAgentKeeper } from "../agents/agent-keeper";
import {
  agentTable,
  agentToJson,
  generationWords,
  lifeWords,
  paintPhase,
  phaseWords,
  reloadWords,
} from "../agents/agent-table";
import { processWords } from "../agents/adoption-words";
import { type AgentDetails, type AgentView } from "../agents/agent-view";
import { type CommandContext, type Run } from "../command";
import { processToJson } from "../agents/process-to-json";
import { consumedWords, evidenceWords } from "../agents/evidence-words";
import { printable } from "../output/printable";
import { relativeTime } from "../output/relative-time";
import { table } from "../output/table";

export const run: Run = async (context, call) => {
  const keeper = await openAgentKeeper(context);
  const details = await keeper.get(call.text("workspace"), call.arg("slug"));
  if (call.flag("json")) context.output.json(toJson(details));
  else show(context, details);
};

function show({ output, clock }: CommandContext, details: AgentDetails): void {
  const { agent, descendants, processes, reportedAt } = details;
  const { style } = output;
  const now = clock.now();
  const fact = (name: string, value: string) => {
    output.line(`  ${name.padEnd(11)} ${value}`);
  };
  output.line(style.bold(printable(agent.path)));
  fact("phase", paintPhase(phaseWords(agent), agent, style));
  fact("life", lifeWords(agent, now));
  fact("workspace", printable(agent.workspace));
  fact("vm", printable(agent.vm));
  fact("generation", generationWords(agent));
  if (processes.length > 0)
    fact("evidence", printable(evidenceWords(processes, agent.appliedGeneration)));
  if (agent.reload) fact("reload", printable(reloadWords(agent.reload)));
  if (agent.adoption) fact("adopted", printable(processWords(agent.adoption, now)));
  fact("developer", printable(agent.developer));
  if (descendants.length > 0) section(output, "Children", agentTable(descendants, style));
  if (processes.length > 0)
    section(output, `Processes, ${relativeTime(reportedAt, now)}`, processTable(details, style));
  if (agent.adoption) {
    section(output, "It can use", agent.adoption.canUse.map(printable));
    section(output, "It cannot use", agent.adoption.cannotUse.map(printable));
  }
}

function section(output: CommandContext["output"], title: string, lines: string[]): void {
  output.line("");
  output.line(title);
  output.lines(lines.map((line) => `  ${line}`));
}

function processTable(
  { agent, processes }: AgentDetails,
  style: CommandContext["output"]["style"],
): string[] {
  return table(
    processes,
    [
      { title: "PID", text: ({ pid }) => String(pid) },
      { title: "PARENT", text: ({ parentPid }) => String(parentPid) },
      { title: "NAME", text: ({ name }) => name },
      { title: "GENERATION", text: (process) => consumedWords(process, agent.desiredGeneration) },
      { title: "BY", text: ({ layer }) => layer || "-" },
    ],
    style.bold,
  );
}

function toJson({ agent, descendants, processes, reportedAt }: AgentDetails) {
  return {
    ...agentToJson(agent),
    children: descendants.map((child: AgentView) => agentToJson(child)),
    processes: processes.map(processToJson),
    reported_at: reportedAt,
  };
}
