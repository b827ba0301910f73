import { type Run } from "../command";
import { UsageError } from "../errors";
import { patient } from "../patient";
import { rekeyHolders } from "../rekey/rekey-holders";
import { readWaiting } from "../rekey/run-rollout";
import { withSecretHint } from "../secret-hints";

export const run: Run = async (context, call) => {
  const name = call.arg("name");
  if (!call.flag("now"))
    throw new UsageError(
      "secret revoke takes a secret from running agents: confirm with --now",
      "To end it for future agents only, use murmur secret rm.",
    );
  const waiting = readWaiting(call);
  const { secrets } = await context.catalog();
  const { holders } = await withSecretHint({ name, isDeletion: true }, () =>
    patient(() => secrets.revokeSecret({ name })),
  );
  await rekeyHolders(context, call, {
    ...{ name, holders, waiting, reason: `secret ${name} was revoked` },
    ...{ done: `Revoked secret "${name}"`, started: "Revoke started", doing: "Revoking" },
  });
};
