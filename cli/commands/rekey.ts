import { randomUUID } from "node:crypto";
import { type RekeyAgentResponse } from "../../gen/murmur/rotation/v1/rollouts";
import { type Invocation, type Run } from "../command";
import { type Rotation } from "../connect-rotation";
import { previewRekey } from "../rekey/preview";
import { type CanaryOptions, readCanary } from "../rekey/canary";
import { readWaiting, runRollout, type Waiting } from "../rekey/run-rollout";
import { readSelection, type Selection } from "../rekey/selection";

export const run: Run = async (context, call) => {
  const waiting = readWaiting(call);
  const canary = readCanary(call);
  const selected = await readSelection(context, call);
  if (call.flag("dry-run")) {
    await previewRekey(context, call, selected.selection);
    return;
  }
  await runRollout(context, call, {
    ...(canary && call.text("timeout") === undefined ? patience(waiting, canary) : waiting),
    ask: toAsk(call, selected, canary),
    ...{ done: "Rekeyed", started: "Rekey started", doing: "Rekeying", what: selected.what },
  });
};

/** As long as the canaries may take, and then as long as without. */
function patience(waiting: Waiting, { withinMs }: CanaryOptions): Waiting {
  const timeoutMs = waiting.timeoutMs + withinMs;
  return { ...waiting, timeoutMs, timeout: `${Math.round(timeoutMs / 1_000)}s` };
}

function toAsk(call: Invocation, { selection }: Selection, canary: CanaryOptions | undefined) {
  // One random request id for all attempts: however often it is sent, it is one rollout.
  const request = { reason: call.text("reason") ?? "", requestId: randomUUID() };
  const { workspace, which } = selection;
  return (rollouts: Rotation["rollouts"], signal: AbortSignal): Promise<RekeyAgentResponse> =>
    which?.$case === "path" && !canary
      ? rollouts.rekeyAgent({ workspace, path: which.value, ...request }, { signal })
      : rollouts.rekeyAgents({ selection, ...request, canary: canary?.wish }, { signal });
}
