import { type Clock, systemClock } from "../../../lib/clock";
import type { HealthReporter } from "../../../lib/grpc/health";
import { AppError } from "../../../lib/errors";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { type Log, silentLog } from "../../../lib/log";
import type { VmStore } from "../vm-sync/store/evidence-store";
import type { StreamTail } from "./stream-tail";
import type { VmStreams } from "./vm-streams";

export interface HeartbeatsDeps {
  replicaId: string;
  vms: Pick<VmStore, "beat">;
  tail: Pick<StreamTail, "watermarkAgeMs" | "isBehind">;
  streams: VmStreams;
  /** Where `postgres` is said to be away: calls that need it fail, and nothing else. */
  health: HealthReporter;
  clock?: Clock;
  log?: Log;
}

const EVERY_MS = 1_000;

/** What a VM is told by a replica that cannot see what the others announce. */
export function replicaBehind(): AppError {
  return new AppError({
    code: "UNAVAILABLE",
    reason: ErrorReason.ERROR_REASON_REPLICA_BEHIND,
    message: "this replica does not see what others announce, try another",
    retryAfterMs: 1_000,
  });
}

/**
 * Once a second, every stream hears how old this replica's view is, and the others hear that this
 * replica lives. A replica whose view is too old closes its streams instead.
 */
export async function runHeartbeats(deps: HeartbeatsDeps, signal: AbortSignal): Promise<void> {
  const { clock = systemClock, log = silentLog, streams, tail, vms, replicaId, health } = deps;
  let beating = false;
  while (!signal.aborted) {
    const isBehind = tail.isBehind();
    health.set("postgres", !isBehind);
    if (isBehind) streams.closeAll(replicaBehind());
    else streams.heartbeat(tail.watermarkAgeMs());
    if (!beating) {
      beating = true;
      void vms
        .beat(replicaId)
        .catch((error: unknown) => {
          log.debug("replica could not beat", { error });
        })
        .finally(() => {
          beating = false;
        });
    }
    await clock.sleep(EVERY_MS, signal);
  }
}
