import { randomUUID } from "node:crypto";
import { type SecretHolder } from "../../gen/murmur/catalog/v1/secrets";
import { ErrorReason } from "../../gen/murmur/errors/v1/error_reason";
import { type Holder, HeldScope, type HeldVersion } from "../../gen/murmur/rotation/v1/agents";
import { isAppError } from "../../lib/errors";
import { allPages } from "../all-pages";
import { type CommandContext, type Invocation } from "../command";
import { HintedError } from "../errors";
import { type readWaiting, runRollout } from "./run-rollout";

/** A secret, or a version of one, that has ended while agents hold it. */
export interface EndedSecret {
  name: string;
  /** Absent: all of them. */
  version?: bigint;
  /** As the catalog named them: those whose newest set has it. */
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
 * Gives all holders, also those whose VM only has yet to take the set without it, a generation without it, waits and tells how it went, as a rekey of them does.
 * When it throws, the secret has ended all the same.
 */
export async function rekeyHolders(
  context: CommandContext,
  call: Invocation,
  ended: EndedSecret & { waiting: ReturnType<typeof readWaiting> },
): Promise<void> {
  const { name, waiting, done, started, doing } = ended;
  const agentIds = await findHolders(context, ended);
  if (agentIds.length === 0) {
    tellDone(context, call, ended);
    return;
  }
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
    else throw new HintedError(error, stillHeldHint(agentIds.length));
  }
}

/**
 * Who holds it by the catalog, and by what VMs have acked: while one has yet to take the set without
 * it, a command that is given again must not say that it is done.
 */
async function findHolders(
  context: CommandContext,
  { name, version = 0n, holders }: EndedSecret,
): Promise<string[]> {
  const ids = new Set(holders.map(({ agentId }) => agentId));
  try {
    const { agents } = await context.rotation();
    const wish = { secretName: name, version, workspace: "" };
    const known = await allPages(
      (page) => agents.listHolders({ ...wish, ...page }),
      (page) => page.holders,
    );
    for (const holder of known) if (holder.agent && hasFiles(holder)) ids.add(holder.agent.agentId);
  } catch (error) {
    if (!isAppError(error)) throw error;
    throw new HintedError(error, ids.size > 0 ? stillHeldHint(ids.size) : UNKNOWN_HINT);
  }
  return [...ids].sort();
}

/** Of the tenant's secret, or of one that cannot be told; not of another scope's of that name. */
function hasFiles({ files, coming }: Holder): boolean {
  const isEnded = ({ scope }: HeldVersion) =>
    scope === HeldScope.HELD_SCOPE_TENANT || scope === HeldScope.HELD_SCOPE_UNSPECIFIED;
  return [...(files ? [files] : []), ...coming].some(isEnded);
}

const UNKNOWN_HINT =
  "That is done, but whether an agent still holds it is not known: give the command again to see.";

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
