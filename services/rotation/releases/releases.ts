import { type Clock, systemClock } from "../../../lib/clock";
import { type Log, silentLog } from "../../../lib/log";
import { backoffMs } from "../../../lib/retry";
import { generationOrNone } from "../agents/domain/agent";
import type { CatalogClient, Release } from "../catalog/catalog-client";
import { isTerminal, openRollbackSources, releaseFloor } from "../protocol";
import type { DueRelease, ReleaseStore } from "./release-store";

export interface ReleasesDeps {
  store: ReleaseStore;
  catalog: Pick<CatalogClient, "release">;
  clock?: Clock;
  log?: Log;
}

/** Tells the catalog which generations are still needed, off the path of any call. */
export interface Releases {
  /** One batch; returns how many agents it was about. */
  releaseOnce(): Promise<number>;
  run(signal: AbortSignal): Promise<void>;
}

const EVERY_MS = 1_000;
const BATCH = 1_000;

export function createReleases(deps: ReleasesDeps): Releases {
  const { clock = systemClock, log = silentLog } = deps;
  const releaseOnce = async () => {
    const due = await deps.store.claim(BATCH);
    const byTenant = new Map<string, DueRelease[]>();
    for (const one of due) byTenant.set(one.tenantId, [...(byTenant.get(one.tenantId) ?? []), one]);
    for (const [tenantId, ofTenant] of byTenant) await releaseTenant(deps, tenantId, ofTenant);
    return due.length;
  };
  return {
    releaseOnce,
    async run(signal) {
      for (let failures = 0; !signal.aborted;) {
        let waitMs = EVERY_MS;
        try {
          if ((await releaseOnce()) === BATCH) waitMs = 0;
          failures = 0;
        } catch (error) {
          failures += 1;
          if (failures === 1) log.warn("generations could not be released", { error });
          waitMs = backoffMs(failures, { initialMs: EVERY_MS, maxMs: 10_000 });
        }
        await clock.sleep(waitMs, signal);
      }
    },
  };
}

async function releaseTenant(
  { store, catalog }: ReleasesDeps,
  tenantId: string,
  due: readonly DueRelease[],
): Promise<void> {
  const releases = due.map(toRelease).filter((it) => it !== undefined);
  if (releases.length > 0) await catalog.release(tenantId, releases);
  const floors = new Map(releases.map(({ agentId, floor }) => [agentId, floor]));
  await store.settle(due.map((it) => ({ ...it, floor: floors.get(it.agentId) ?? 0n })));
}

/**
 * Nothing is to be said of a living agent that has no generation. One of which no applied generation
 * is known keeps all that it has, and yet what it should be on must not expire.
 */
function toRelease(due: DueRelease): Release | undefined {
  const { agentId, desired, phase } = due;
  if (isTerminal(phase)) return { agentId, floor: desired, confirmed: desired, ended: true };
  const floor = releaseFloor({
    desired: generationOrNone(desired),
    applied: generationOrNone(due.applied),
    rollbackSources: openRollbackSources(due.targets),
  });
  if (desired === 0n) return undefined;
  return { agentId, floor: floor ?? 0n, confirmed: desired, ended: false };
}
