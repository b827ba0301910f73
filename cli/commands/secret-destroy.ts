import { type Run } from "../command";
import { UsageError } from "../errors";
import { patient } from "../patient";
import { rekeyHolders } from "../rekey/rekey-holders";
import { readWaiting } from "../rekey/run-rollout";

export const run: Run = async (context, call) => {
  const { name, version } = parseVersion(call.arg("version"));
  const waiting = readWaiting(call);
  const force = call.flag("force");
  const { secrets } = await context.catalog();
  const { holders } = await patient(() => secrets.destroySecretVersion({ name, version, force }));
  await rekeyHolders(context, call, {
    ...{ name, version, holders, waiting },
    reason: `version ${version} of secret ${name} was destroyed`,
    ...{ done: `Destroyed version ${version} of secret "${name}"`, started: "Destroy started" },
    doing: "Destroying",
  });
};

function parseVersion(text: string): { name: string; version: bigint } {
  const [, name = "", digits = ""] = /^([^@]+)@([1-9]\d{0,17})$/.exec(text) ?? [];
  if (name === "")
    throw new UsageError(
      "the version must be NAME@VERSION",
      "Use murmur secret history NAME to see the versions.",
    );
  return { name, version: BigInt(digits) };
}
