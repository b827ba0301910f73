import { type Run } from "../command";
import { LocalError } from "../errors";
import { connectRotation } from "../connect-rotation";
import { printable } from "../output/printable";
import { patient } from "../patient";
import { deletionRows, deletionToJson } from "../tenant/views";
import { traceParent } from "../trace-parent";

export const run: Run = async (context, call) => {
  const { output, clock } = context;
  const { rotation: address, caFile } = await context.config();
  if (address === undefined)
    throw new LocalError(
      "rotation's address is not known",
      "Run it where your murmur.local.yaml is, or name that with MURMUR_CONFIG.",
    );
  // Whoever asks was of the tenant, and has no credential that counts any more.
  const traceparent = traceParent(context.terminal.env);
  const rotation = connectRotation({ address, caFile, token: undefined, traceparent });
  try {
    const requestId = call.arg("id");
    const { deletion } = await patient(() => rotation.tenants.getTenantDeletion({ requestId }));
    if (!deletion) throw new Error("rotation answered without the deletion");
    if (call.flag("json")) output.json(deletionToJson(deletion));
    else
      for (const [name, text] of deletionRows(deletion, clock.now()))
        output.line(`${`${name}:`.padEnd(14)}${printable(text)}`);
  } finally {
    rotation.close();
  }
};
