import { ErrorReason } from "../../gen/murmur/errors/v1/error_reason";
import { type BoundAgent } from "../../gen/murmur/rotation/v1/bindings";
import { isAppError } from "../../lib/errors";
import { agentWords, findAgent, requireAgent } from "../agents/find-agent";
import { hashKey, variableOf } from "../agents/provider-key";
import { readProviderKey } from "../agents/read-key";
import { agentToJson } from "../agents/views";
import { type Run } from "../command";
import { HintedError } from "../errors";
import { patient } from "../patient";

export const run: Run = async (context, call) => {
  const { output } = context;
  const rotation = await context.rotation();
  const { agentId, name } = await findAgent(rotation, call);
  const key = await readProviderKey(context, ["MURMUR_NEW_KEY"], "New provider API key");
  const { hash, prefix } = hashKey(key, name);
  const request = { agentId, newKeyHash: hash, keyPrefix: prefix };
  const again = call.arg("name") === "" ? ["--agent-id", agentId] : [call.arg("name")];
  // Safe to repeat: with the key that it has by then nothing changes.
  const answer = await patient(() => rotation.bindings.rebindAgent(request)).catch(
    (error: unknown) => {
      throw withRecovery(error, ["murmur agents rebind", ...again].join(" "));
    },
  );
  const agent = requireAgent(answer);
  const variable = variableOf(key);
  if (call.flag("json")) {
    const { rekeyedAt: rekeyed_at, changed } = answer;
    output.json({ success: true, changed, ...agentToJson(agent), rekeyed_at, variable });
    return;
  }
  if (answer.changed) output.line(`Rebound ${agentWords(agent)}`);
  else output.line(`${capitalised(agentWords(agent))} is bound to this key already`);
  for (const line of nextSteps(agent, variable)) output.note(line);
};

function nextSteps({ rekeyCount }: BoundAgent, variable: string | undefined): string[] {
  const what = variable ?? "the variable that holds the key";
  const old = "Requests under the old key now make a new, unclaimed agent.";
  return [`Update ${what} wherever the agent runs.`, ...(rekeyCount > 0 ? [old] : [])];
}

/** What to do about a key that is another agent's already. */
function withRecovery(error: unknown, again: string): unknown {
  if (!isAppError(error, "ALREADY_EXISTS")) return error;
  if (error.reason !== ErrorReason.ERROR_REASON_KEY_ALREADY_BOUND) return error;
  const id = error.metadata["conflict_agent_id"];
  if (id === undefined)
    return new HintedError(
      error,
      "That agent is claimed by another account: its owner can deactivate it, or you use another key.",
    );
  const steps = [
    `conflict_agent_id: ${id}`,
    "The new key was in use before the rebind, and that agent came of it. To recover:",
    `  1. Look at it: murmur agents show ${id}`,
    `  2. Only if it is unclaimed and has no meaningful history: murmur agents deactivate ${id}`,
    "     It asks for the new key, as the proof that it is yours.",
    `  3. Try again: ${again}`,
    `If it has history that you want to keep, make it yours instead: murmur agents claim ${id}`,
  ];
  return new HintedError(error, steps.join("\n"));
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
