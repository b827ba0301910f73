import { randomUUID } from "node:crypto";
import { type Run } from "../command";
import { readWaiting, runRollout } from "../rekey/run-rollout";

export const run: Run = async (context, call) => {
  const rolloutId = call.arg("rollout");
  // One random request id for all attempts: however often it is sent, it is one rollback.
  const request = { rolloutId, reason: call.text("reason") ?? "", requestId: randomUUID() };
  await runRollout(context, call, {
    ...readWaiting(call),
    ask: (rollouts, signal) => rollouts.rollbackRollout(request, { signal }),
    ...{ done: "Rolled back", started: "Rollback started", doing: "Rolling back", what: rolloutId },
  });
};
