import { randomUUID } from "node:crypto";
import { type Run } from "../command";
import { readWaiting, runRollout } from "../rekey/run-rollout";

export const run: Run = async (context, call) => {
  const waiting = readWaiting(call);
  const path = call.arg("slug");
  const workspace = await context.requireWorkspace(call.text("workspace"));
  const reason = call.text("reason") ?? "";
  // One random request id for all attempts: however often it is sent, it is one rollout.
  const request = { workspace, path, reason, requestId: randomUUID() };
  await runRollout(context, call, {
    ...waiting,
    ask: (rollouts, signal) => rollouts.rekeyAgent(request, { signal }),
    ...{ done: "Rekeyed", started: "Rekey started", doing: "Rekeying", what: path },
  });
};
