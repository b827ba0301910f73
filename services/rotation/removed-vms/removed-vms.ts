import { type Clock, systemClock } from "../../../lib/clock";
import { unauthenticated } from "../../../lib/errors";
import { type Log, silentLog } from "../../../lib/log";
import type { Pool, Tx } from "../../../lib/postgres/db";
import { withTransactionRetry } from "../../../lib/postgres/transaction";
import { backoffMs } from "../../../lib/retry";
import type { AgentWriter } from "../agents/store/agent-store";
import type { VmStreams } from "../announce/vm-streams";
import type { CatalogClient, RemovedVm } from "../catalog/catalog-client";
import type { RolloutSignals } from "../rollouts/rollout-signals";
import type { RolloutRef } from "../vm-sync/domain/evidence";
import type { EvidenceStore, VmStore } from "../vm-sync/store/evidence-store";

export interface RemovedVmsDeps {
  pool: Pool;
  catalog: Pick<CatalogClient, "removedVms">;
  vms: Pick<VmStore, "remove" | "removalsCursor" | "moveRemovalsCursor">;
  evidence: Pick<EvidenceStore, "skipTargets">;
  writer: Pick<AgentWriter, "end">;
  streams: Pick<VmStreams, "close">;
  signals: Pick<RolloutSignals, "changed">;
  clock?: Clock;
  log?: Log;
}

/** Carries out here what the catalog has decided: that a VM's rights have ended. */
export interface RemovedVms {
  /** Carries out every removal that the catalog knows of now. */
  catchUp(): Promise<void>;
  /** Does so once a second. Every replica does: each has streams of its own to end. */
  run(signal: AbortSignal): Promise<void>;
}

const EVERY_MS = 1_000;

export function createRemovedVms(deps: RemovedVmsDeps): RemovedVms {
  const { clock = systemClock, log = silentLog } = deps;
  let cursor: bigint | undefined;
  let running: Promise<void> | undefined;

  const catchUp = async () => {
    cursor ??= await deps.vms.removalsCursor();
    for (;;) {
      const removed = await deps.catalog.removedVms(cursor);
      for (const vm of removed) await remove(deps, vm, log);
      const last = removed.at(-1);
      if (!last) return;
      cursor = last.sequence;
      await deps.vms.moveRemovalsCursor(cursor);
    }
  };
  /** One at a time; whoever asks meanwhile gets a round that begins after the asking. */
  const catchUpAlone = async () => {
    await running?.catch(() => undefined);
    running ??= catchUp().finally(() => {
      running = undefined;
    });
    return running;
  };
  return {
    catchUp: catchUpAlone,
    async run(signal) {
      for (let failures = 0; !signal.aborted;) {
        try {
          await catchUpAlone();
          failures = 0;
        } catch (error) {
          failures += 1;
          if (failures === 1) log.warn("removed VMs could not be read", { error });
        }
        await clock.sleep(failures > 0 ? backoffMs(failures) : EVERY_MS, signal);
      }
    },
  };
}

async function remove(deps: RemovedVmsDeps, vm: RemovedVm, log: Log): Promise<void> {
  deps.streams.close(vm, unauthenticated());
  const rollouts = await withTransactionRetry(deps.pool, (tx) => recordRemoval(deps, tx, vm));
  for (const rollout of rollouts) deps.signals.changed(rollout);
  log.info("VM was removed", { tenantId: vm.tenantId, vmId: vm.vmId });
}

async function recordRemoval(
  { vms, writer, evidence }: RemovedVmsDeps,
  tx: Tx,
  { tenantId, vmId }: RemovedVm,
): Promise<RolloutRef[]> {
  const agents = await vms.remove(tx, tenantId, vmId);
  if (agents.length === 0) return [];
  const exit = { kind: "unknown" as const, value: "its VM was removed" };
  await writer.end(
    tx,
    agents.map(({ id }) => ({ tenantId, id, phase: "cancelled", exit })),
  );
  return evidence.skipTargets(
    tx,
    agents.map(({ id }) => ({ tenantId, id, reason: "VM was removed" })),
  );
}
