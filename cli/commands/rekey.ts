import { randomUUID } from "node:crypto";
import { type RekeyAgentResponse } from "../../gen/murmur/rotation/v1/rollouts";
import { type Invocation, type Run } from "../command";
import { type Rotation } from "../connect-rotation";
import { previewRekey } from "../rekey/preview";
import { readWaiting, runRollout } from "../rekey/run-rollout";
import { readSelection, type Selection } from "../rekey/selection";

export const run: Run = async (context, call) => {
  const waiting = readWaiting(call);
  const selected = await readSelection(context, call);
  if (call.flag("dry-run")) {
    await previewRekey(context, call, selected.selection);
    return;
  }
  await runRollout(context, call, {
    ...waiting,
    ask: toAsk(call, selected),
    ...{ done: "Rekeyed", started: "Rekey started", doing: "Rekeying", what: selected.what },
  });
};

function toAsk(call: Invocation, { selection }: Selection) {
  // One random request id for all attempts: however often it is sent, it is one rollout.
  const request = { reason: call.text("reason") ?? "", requestId: randomUUID() };
  const { workspace, which } = selection;
  return (rollouts: Rotation["rollouts"], signal: AbortSignal): Promise<RekeyAgentResponse> =>
    which?.$case === "path"
      ? rollouts.rekeyAgent({ workspace, path: which.value, ...request }, { signal })
      : rollouts.rekeyAgents({ selection, ...request }, { signal });
}
