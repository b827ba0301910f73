import type {
  DueRotation,
  SelfRotationServiceService,
} from "../../../gen/murmur/rotation/v1/self_rotation";
import type { Clock } from "../../../lib/clock";
import { isAppError } from "../../../lib/errors";
import type { ClientOf } from "../../../lib/grpc/client";
import type { Log } from "../../../lib/log";

export interface AutoRotationDeps {
  client: Pick<ClientOf<typeof SelfRotationServiceService>, "listDueRotations" | "rotateForAgent">;
  clock: Clock;
  log: Log;
}

/** How often it is looked whether somebody wishes a rotation. */
const LOOK_EVERY_MS = 10_000;
const TIMEOUT_MS = 20_000;

/**
 * Rotates the pairs of this VM's agents when they are due. The new values come as every new value does:
 * with a generation that the agent should be on. When it is due rotation says, and what did not come to
 * its end is due again; nothing has to be remembered here.
 */
export async function runAutoRotation(deps: AutoRotationDeps, signal: AbortSignal): Promise<void> {
  const { clock, log } = deps;
  while (!signal.aborted) {
    await rotateDue(deps, signal).catch((error: unknown) => {
      // A rotation service of before has no such call.
      if (!signal.aborted) log.debug("due rotations could not be read", { error });
    });
    await clock.sleep(LOOK_EVERY_MS, signal);
  }
}

async function rotateDue({ client, log }: AutoRotationDeps, signal: AbortSignal): Promise<void> {
  const control = { timeoutMs: TIMEOUT_MS, signal };
  const { rotations } = await client.listDueRotations({}, control);
  const due = rotations.filter(
    ({ dueIn }) => !dueIn || (dueIn.seconds === 0n && dueIn.nanos === 0),
  );
  for (const rotation of due) if (!signal.aborted) await rotate(client, log, rotation, signal);
}

async function rotate(
  client: AutoRotationDeps["client"],
  log: Log,
  { agentId, name }: DueRotation,
  signal: AbortSignal,
): Promise<void> {
  try {
    const control = { timeoutMs: TIMEOUT_MS, signal };
    const { generation } = await client.rotateForAgent({ agentId }, control);
    log.info("agent's key was rotated", { agentId, name, generation: String(generation) });
  } catch (error) {
    if (signal.aborted) return;
    const isAway = isAppError(error, "UNAVAILABLE") || isAppError(error, "RESOURCE_EXHAUSTED");
    const message = "agent's key could not be rotated yet";
    if (isAway) log.debug(message, { agentId, name, error });
    else log.warn(message, { agentId, name, error });
  }
}
