import { unauthenticated } from "../../../lib/errors";
import type { Log } from "../../../lib/log";
import { withTransactionRetry } from "../../../lib/postgres/transaction";
import { backoffMs } from "../../../lib/retry";
import { killTrees } from "../agents/kill";
import type { VmStreams } from "../announce/vm-streams";
import { type Caller, writeAudit } from "../audit";
import type { CatalogClient } from "../catalog/catalog-client";
import { type DeleteTenantDeps, endAsked } from "./delete-tenant";
import type { EndedVms } from "./ended-vms";
import type { HeldDeletion } from "./store/deletion-store";

export interface LeadDeletionsDeps
  extends Omit<DeleteTenantDeps, "people">, Omit<Parameters<typeof killTrees>[0], "pool"> {
  catalog: DeleteTenantDeps["catalog"] & Pick<CatalogClient, "purgeTenant">;
  streams: Pick<VmStreams, "vms" | "close">;
  endedVms: Pick<EndedVms, "isPurged">;
  log: Log;
}

/** Leads deletions of tenants on: any replica does, and one that dies over it is followed by another. */
export interface Deletions {
  /** One round; returns how many were looked after. */
  lookOnce(): Promise<number>;
  run(signal: AbortSignal): Promise<void>;
}

const EVERY_MS = 1_000;
const BATCH = 10;
/** Longer than a step takes. */
const HOLD_MS = 30_000;
/** For as long one deletion is removed in one go: less than it is held. */
const PURGE_MS = 10_000;
/** What a dependency that is away has to come back in. */
const RETRY_MS = 2_000;
const TREES = 50;

export function createDeletions(deps: LeadDeletionsDeps): Deletions {
  const { clock, log } = deps;
  const lookOnce = async () => {
    const held = await deps.deletions.claim(deps.pool, BATCH, HOLD_MS);
    for (const deletion of held) await lookAfter(deps, deletion);
    await closeStreams(deps);
    return held.length;
  };
  return {
    lookOnce,
    async run(signal) {
      for (let failures = 0; !signal.aborted;) {
        let waitMs = EVERY_MS;
        try {
          await lookOnce();
          failures = 0;
        } catch (error) {
          failures += 1;
          if (failures === 1) log.warn("deletions of tenants could not be looked after", { error });
          waitMs = backoffMs(failures, { initialMs: EVERY_MS, maxMs: 10_000 });
        }
        await clock.sleep(waitMs, signal);
      }
    },
  };
}

async function lookAfter(deps: LeadDeletionsDeps, held: HeldDeletion): Promise<void> {
  const { tenantId, stage } = held;
  let forMs = RETRY_MS;
  try {
    const hasMore = await takeStep(deps, held);
    forMs = hasMore ? 0 : EVERY_MS;
  } catch (error) {
    deps.log.warn("the deletion of a tenant did not get on", { tenantId, stage, error });
  }
  await deps.deletions.letGo(deps.pool, tenantId, forMs);
}

/** What can be done now, a bounded part of it; whether there is more. */
async function takeStep(deps: LeadDeletionsDeps, held: HeldDeletion): Promise<boolean> {
  const { tenantId } = held;
  switch (held.stage) {
    case "asked":
      await endAsked(deps, tenantId);
      return true;
    case "ending":
      return held.isDue ? beginPurge(deps, held) : endTrees(deps, tenantId);
    case "purging":
      return !(await purge(deps, held));
  }
}

/** Through the way of every kill: VMs hear of it at once. */
async function endTrees(deps: LeadDeletionsDeps, tenantId: string): Promise<boolean> {
  const rootIds = await deps.deletions.findLivingTrees(deps.pool, tenantId, TREES);
  return (await killTrees(deps, ownCaller(tenantId), rootIds)) > 0;
}

/** Whatever still lives: VMs that come back later are told by `EndedVms`. */
async function beginPurge(deps: LeadDeletionsDeps, { tenantId }: HeldDeletion): Promise<boolean> {
  await endTrees(deps, tenantId).catch((error: unknown) => {
    deps.log.warn("agents of a deleted tenant could not be ended", { tenantId, error });
  });
  return withTransactionRetry(deps.pool, (tx) => deps.deletions.beginPurge(tx, tenantId));
}

/** The catalog's part first: the keys of the secrets are there. True when nothing is left. */
async function purge(deps: LeadDeletionsDeps, { tenantId }: HeldDeletion): Promise<boolean> {
  const { pool, catalog, deletions, clock, log } = deps;
  const endMs = clock.monotonicMs() + PURGE_MS;
  const isLeft = async () =>
    !(await catalog.purgeTenant(tenantId)) || (await deletions.removeSome(pool, tenantId)) > 0;
  while (await isLeft()) if (clock.monotonicMs() > endMs) return false;
  await withTransactionRetry(pool, async (tx) => {
    if (!(await deletions.finish(tx, tenantId))) return;
    const entry = { action: "tenant.purge", objectKind: "tenant", objectId: tenantId };
    await writeAudit(tx, ownCaller(""), [{ ...entry, outcome: "ok" }]);
  });
  log.info("a tenant was deleted", { tenantId });
  return true;
}

/** VMs that are still connected come back, and are told to end whatever they still have. */
async function closeStreams({ streams, endedVms }: LeadDeletionsDeps): Promise<void> {
  for (const vm of streams.vms())
    if (await endedVms.isPurged(vm.tenantId)) streams.close(vm, unauthenticated());
}

/** Nobody asks: the service does it by itself. */
function ownCaller(tenantId: string): Caller {
  return { tenantId, kind: "service", id: "rotation", peer: "" };
}
