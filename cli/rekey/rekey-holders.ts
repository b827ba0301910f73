import { randomUUID } from "node:crypto";
import { type SecretHolder } from "../../gen/murmur/catalog/v1/secrets";
import { ErrorReason } from "../../gen/murmur/errors/v1/error_reason";
import { isAppError } from "../../lib/errors";
import { type CommandContext, type Invocation } from "../command";
import { HintedError } from "../errors";
import { type readWaiting, runRollout } from "./run-rollout";

/** A secret, or a version of one, that has ended while agents hold it. */
export interface EndedSecret {
  name: string;
  /** As the catalog named them. */
  holders: readonly SecretHolder[];
  /** Kept with the rollout unless the caller says why. */
  reason: string;
  /** `Revoked secret "NPM_TOKEN"`. */
  done: string;
  /** `Revoke started`. */
  started: string;
  /** `Revoking`. */
  doing: string;
}

/**
 * Gives all holders a generation without it, waits and tells how it went, as a rekey of them does.
 * When it throws, the secret has ended all the same.
 */
export async function rekeyHolders(
  context: CommandContext,
  call: Invocation,
  ended: EndedSecret & { waiting: ReturnType<typeof readWaiting> },
): Promise<void> {
  const { name, holders, waiting, done, started, doing } = ended;
  if (holders.length === 0) {
    tellDone(context, call, ended);
    return;
  }
  const agentIds = holders.map(({ agentId }) => agentId);
  const selection = {
    workspace: "",
    which: { $case: "holders" as const, value: { secretName: name, agentIds } },
  };
  const request = {
    selection,
    reason: call.text("reason") ?? ended.reason,
    requestId: randomUUID(),
  };
  try {
    await runRollout(context, call, {
      ...waiting,
      ask: (rollouts, signal) => rollouts.rekeyAgents(request, { signal }),
      ...{ done, started, doing, what: name },
    });
  } catch (error) {
    if (!isAppError(error)) throw error;
    // All of them have ended meanwhile.
    if (error.reason === ErrorReason.ERROR_REASON_AGENT_NOT_FOUND) tellDone(context, call, ended);
    else throw new HintedError(error, stillHeldHint(holders.length));
  }
}

function tellDone(
  { output }: CommandContext,
  call: Invocation,
  { name, done }: Pick<EndedSecret, "name" | "done">,
): void {
  if (call.flag("json")) output.json({ secret: name, targets: [] });
  else output.line(done);
}

function stillHeldHint(count: number): string {
  const who = count === 1 ? "1 agent still holds it" : `${count} agents still hold it`;
  return `That is done, but ${who}: give the command again to unset it there.`;
}
