import { randomUUID } from "node:crypto";
import { type CommandContext, type Invocation, type Run } from "../command";
import { HintedError, LocalError, UsageError } from "../errors";
import { isAppError } from "../../lib/errors";
import { isRetryable } from "../../lib/retry";
import { linePrompt } from "../input/line-prompt";
import { printable } from "../output/printable";
import { deletionToJson } from "../tenant/views";

export const run: Run = async (context, call) => {
  const { output } = context;
  const { identity, tenants } = await context.rotation();
  const { tenantId } = await identity.getIdentity({});
  await confirm(context, call, tenantId);
  const requestId = randomUUID();
  const howFar = `murmur tenant deletion ${requestId} says how far it is.`;
  const { deletion } = await tenants
    .deleteTenant({ confirmTenant: tenantId, requestId })
    .catch((error: unknown) => {
      // It may have been taken up all the same, and then it goes on.
      throw isAppError(error) && isRetryable(error) ? new HintedError(error, howFar) : error;
    });
  if (!deletion) throw new Error("rotation answered without the deletion");
  if (call.flag("json")) {
    output.json({ id: requestId, ...deletionToJson(deletion) });
    return;
  }
  output.line(printable(`Deleted tenant "${tenantId}"`));
  output.note("No credential of it counts any more. Its agents are ended, then all is removed:");
  output.note(howFar);
};

/** The name is typed by whoever means it: never taken from the configuration. */
async function confirm(
  { terminal, output }: CommandContext,
  call: Invocation,
  tenantId: string,
): Promise<void> {
  const given = call.text("confirm");
  if (given === undefined && !terminal.stdin.isTTY)
    throw new UsageError("--confirm is required", "Give the tenant's name: --confirm NAME.");
  if (given === undefined)
    output.note(
      printable(
        `This deletes tenant "${tenantId}" with its secrets, agents, VMs, keys and people, for good.`,
      ),
    );
  const typed = given ?? (await linePrompt(terminal, "Type its name to go on: "));
  if (typed !== tenantId)
    throw new LocalError(
      `nothing was deleted: your tenant is "${printable(tenantId)}", not "${printable(typed)}"`,
    );
}
