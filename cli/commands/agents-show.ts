import { findByEither } from "../agents/find-agent";
import { agentToJson, prefixWords, stateWord } from "../agents/views";
import { type Run } from "../command";
import { printable } from "../output/printable";
import { relativeTime } from "../output/relative-time";

export const run: Run = async ({ rotation, output, clock }, call) => {
  const agent = await findByEither(await rotation(), call.arg("agent"));
  if (call.flag("json")) {
    output.json(agentToJson(agent));
    return;
  }
  const time = (at: Date | undefined) => (at ? relativeTime(at, clock.now()) : "");
  const { traces = 0n, scores = 0n, trustEdges = 0n } = agent.history ?? {};
  const rows: [string, string][] = [
    ["id", agent.agentId],
    ["name", agent.name || "-"],
    ["state", stateWord(agent)],
    ["key", prefixWords(agent)],
    ["owner", agent.owner || "unclaimed"],
    ["created", time(agent.createdAt)],
    [
      "rekeyed",
      agent.rekeyedAt ? `${time(agent.rekeyedAt)} (${timesWords(agent.rekeyCount)})` : "never",
    ],
    ["seen", time(agent.observedAt) || "never"],
    ["deactivated", time(agent.deactivatedAt)],
    ["revoked", time(agent.revokedAt)],
    ["history", `${traces} traces, ${scores} scores, ${trustEdges} trust edges`],
  ];
  for (const [name, text] of rows)
    if (text !== "") output.line(`${`${name}:`.padEnd(13)}${printable(text)}`);
};

function timesWords(count: number): string {
  return count === 1 ? "once" : `${count} times in all`;
}
