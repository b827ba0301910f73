import { type Hop, HopState } from "../../gen/murmur/rotation/v1/agents";
import { agentToJson } from "../agents/agent-table";
import { toAgentView } from "../agents/rotation-agent-keeper";
import { type CommandContext, type Run } from "../command";
import { printable } from "../output/printable";
import { relativeTime } from "../output/relative-time";
import { type Style } from "../output/style";
import { table } from "../output/table";
import { patient } from "../patient";

export const run: Run = async (context, call) => {
  const workspace = await context.requireWorkspace(call.text("workspace"));
  const { agents } = await context.rotation();
  const answer = await patient(() => agents.explainAgent({ workspace, path: call.arg("slug") }));
  const { output } = context;
  if (call.flag("json")) {
    const agent = agentToJson(toAgentView(answer.agent));
    output.json({ summary: answer.summary, agent, hops: answer.hops.map(hopToJson) });
    return;
  }
  output.line(printable(answer.summary));
  output.lines(hopTable(context, answer.hops));
};

function hopTable({ output: { style }, clock }: CommandContext, hops: Hop[]): string[] {
  const now = clock.now();
  return table(
    hops,
    [
      { title: "HOP", text: ({ name }) => name },
      { title: "STATE", text: stateWords, paint: (text, hop) => paintState(text, hop, style) },
      { title: "WHEN", text: ({ at }) => relativeTime(at, now) },
      { title: "DETAIL", text: ({ detail }) => detail },
    ],
    style.bold,
  );
}

const WORDS: Partial<Record<HopState, string>> = {
  [HopState.HOP_STATE_DONE]: "done",
  [HopState.HOP_STATE_WAITING]: "waiting",
  [HopState.HOP_STATE_FAILED]: "failed",
  [HopState.HOP_STATE_NOT_REACHED]: "not reached",
};

function stateWords({ state }: Hop): string {
  return WORDS[state] ?? "unknown";
}

function paintState(text: string, { state }: Hop, style: Style): string {
  if (state === HopState.HOP_STATE_DONE) return style.green(text);
  if (state === HopState.HOP_STATE_FAILED) return style.red(text);
  return state === HopState.HOP_STATE_WAITING ? style.yellow(text) : style.dim(text);
}

function hopToJson(hop: Hop) {
  return { name: hop.name, state: stateWords(hop), detail: hop.detail, at: hop.at };
}
