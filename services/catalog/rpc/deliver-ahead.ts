import { randomBytes } from "node:crypto";
import { SealedAhead } from "../../../gen/murmur/catalog/v1/delivery";
import type { CallContext } from "../../../lib/grpc/context";
import { NONCE_BYTES } from "../../../lib/identity/signed-messages";
import type { DeliverySession, DeliverySessions } from "../domain/delivery-session";
import type { DeliveryRecords } from "../environments/delivery-records";
import type { EnvironmentHandle, EnvironmentOpener } from "../environments/environment-opener";
import { sealOpened } from "./seal-opened";

/** A generation that was just made, and the VM that it is bound to. */
export interface MadeGeneration {
  agentId: string;
  vmId: string;
  generation: bigint;
}

/**
 * Seals generations that were just made for their VMs, as far as these have a session with this
 * replica; by agent id, each an encoded SealedAhead. The same checks as in a fetch, of the database.
 * Never throws: whoever gets nothing ahead fetches.
 */
export type DeliverAhead = (
  tenantId: string,
  made: readonly MadeGeneration[],
  context: Pick<CallContext, "log">,
) => Promise<ReadonlyMap<string, Buffer>>;

export interface DeliverAheadDeps {
  sessions: DeliverySessions;
  environments: EnvironmentOpener;
  deliveries: Pick<DeliveryRecords, "note">;
}

/** Beyond it a fetch is no worse: the VMs of a large rollout fetch while others are told. */
const MAX_GENERATIONS = 100;
const MAX_BYTES = 256 * 1024;

export function createDeliverAhead(deps: DeliverAheadDeps): DeliverAhead {
  return async (tenantId, made, { log }) => {
    const result = new Map<string, Buffer>();
    if (made.length > MAX_GENERATIONS) return result;
    try {
      const found = await Promise.all(
        byVm(made).map(([vmId, ofVm]) => findForVm(deps, tenantId, vmId, ofVm)),
      );
      let bytes = 0;
      for (const { vmId, session, handle } of found.flat()) {
        bytes += handle.sizeBytes;
        if (bytes > MAX_BYTES) break;
        const sealed = await sealAhead(session, handle);
        if (!sealed) continue;
        const { agentId, generation } = handle;
        result.set(agentId, sealed);
        deps.deliveries.note({ tenantId, vmId, agentId, generation, peer: undefined });
      }
    } catch (error) {
      log.warn("nothing delivered ahead", { error });
    }
    return result;
  };
}

interface Found {
  vmId: string;
  session: DeliverySession;
  handle: EnvironmentHandle;
}

async function findForVm(
  { sessions, environments }: DeliverAheadDeps,
  tenantId: string,
  vmId: string,
  made: readonly MadeGeneration[],
): Promise<Found[]> {
  const current = sessions.current({ tenantId, vmId });
  if (!current) return [];
  const { session, keyThumbprint } = current;
  const handles = await environments.find(tenantId, vmId, made);
  // A VM that was removed, or that has another key by now, gets nothing.
  const ofKey = handles.filter((handle) => handle.vmKeyThumbprint === keyThumbprint);
  return ofKey.map((handle) => ({ vmId, session, handle }));
}

async function sealAhead(
  session: DeliverySession,
  handle: EnvironmentHandle,
): Promise<Buffer | undefined> {
  const outcome = await handle.open();
  if (outcome.kind === "refused") return undefined;
  const nonce = randomBytes(NONCE_BYTES);
  const sealed = sealOpened(session, nonce, outcome.environment);
  return Buffer.from(SealedAhead.encode({ sessionId: session.id, nonce, sealed }).finish());
}

function byVm(made: readonly MadeGeneration[]): [string, MadeGeneration[]][] {
  const result = new Map<string, MadeGeneration[]>();
  for (const one of made) {
    const ofVm = result.get(one.vmId);
    if (ofVm) ofVm.push(one);
    else result.set(one.vmId, [one]);
  }
  return [...result];
}
