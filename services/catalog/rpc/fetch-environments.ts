import {
  type DeliveredEnvironment,
  DeliveryRefusal,
  type FetchEnvironmentsRequest,
  type FetchEnvironmentsResponse,
} from "../../../gen/murmur/catalog/v1/delivery";
import { invalid, unauthenticated } from "../../../lib/errors";
import type { CallContext, UnaryHandler } from "../../../lib/grpc/context";
import { deliverySessionUnknown } from "../../../lib/identity/session-proof";
import { NONCE_BYTES } from "../../../lib/identity/signed-messages";
import type { DeliverySession, DeliverySessions, SessionOwner } from "../domain/delivery-session";
import type { OpenRefusal } from "../domain/environment";
import type { DeliveryRecords } from "../environments/delivery-records";
import type { EnvironmentHandle, EnvironmentOpener } from "../environments/environment-opener";
import type { VmStore } from "../vms/vm-store";
import { sealOpened } from "./seal-opened";
import { vmCaller } from "./vm-caller";

const MAX_ENVIRONMENTS = 500;
const MAX_ANSWER_BYTES = 3 * 1024 * 1024;
/** Ids, numbers, tag and lengths of one result. */
const RESULT_OVERHEAD_BYTES = 256;

const REFUSALS: Record<OpenRefusal, DeliveryRefusal> = {
  "not-available": DeliveryRefusal.DELIVERY_REFUSAL_NOT_AVAILABLE,
  tampered: DeliveryRefusal.DELIVERY_REFUSAL_TAMPERED,
  away: DeliveryRefusal.DELIVERY_REFUSAL_AWAY,
};

export interface FetchEnvironmentsDeps {
  store: Pick<VmStore, "hasRights">;
  sessions: DeliverySessions;
  environments: EnvironmentOpener;
  deliveries: Pick<DeliveryRecords, "note">;
}

/**
 * Delivers generations to the VM that they are bound to, sealed under its session. Its rights are
 * read from the database in every call, with what is looked up: a removal counts from its commit,
 * on every replica, without anything to be told or to grow stale.
 */
export function fetchEnvironments(
  deps: FetchEnvironmentsDeps,
): UnaryHandler<FetchEnvironmentsRequest, FetchEnvironmentsResponse> {
  return async (request, context) => {
    checkRequest(request);
    const owner = vmCaller(context);
    const session = deps.sessions.find(owner, request.sessionId);
    if (!session) throw deliverySessionUnknown();
    const handles = await deps.environments.find(owner.tenantId, owner.vmId, request.environments);
    await checkRights(deps.store, owner, handles);
    const environments = await deliver(session, request.nonce, handles, context);
    const { tenantId, vmId } = owner;
    for (const { agentId, generation, result } of environments)
      if (result?.$case === "sealed")
        deps.deliveries.note({ tenantId, vmId, agentId, generation, peer: context.peer });
    return { environments };
  };
}

/** What was found tells the VM's key; only a VM for which nothing was found is asked for again. */
async function checkRights(
  store: Pick<VmStore, "hasRights">,
  { tenantId, vmId, keyThumbprint }: SessionOwner,
  handles: readonly EnvironmentHandle[],
): Promise<void> {
  const isShown = handles.some((handle) => handle.vmKeyThumbprint === keyThumbprint);
  if (isShown || (await store.hasRights(tenantId, vmId, keyThumbprint))) return;
  throw unauthenticated();
}

function checkRequest({ nonce, environments }: FetchEnvironmentsRequest): void {
  if (nonce.length !== NONCE_BYTES) throw invalid("nonce", `nonce must be ${NONCE_BYTES} bytes`);
  if (environments.length === 0 || environments.length > MAX_ENVIRONMENTS)
    throw invalid("environments", `environments must be from 1 to ${MAX_ENVIRONMENTS}`);
}

/** In order, until the answer is full; the first that can be delivered always is. */
async function deliver(
  session: DeliverySession,
  nonce: Buffer,
  handles: readonly EnvironmentHandle[],
  context: CallContext,
): Promise<DeliveredEnvironment[]> {
  const results: DeliveredEnvironment[] = [];
  let bytes = 0;
  for (const [at, handle] of handles.entries()) {
    if (at > 0) context.signal.throwIfAborted();
    const isFull = bytes > 0 && bytes + handle.sizeBytes + RESULT_OVERHEAD_BYTES > MAX_ANSWER_BYTES;
    const result = isFull ? deferred() : await openAndSeal(session, nonce, handle, context);
    const size = result.$case === "sealed" ? result.value.ciphertext.length : 0;
    // What the estimate left out (names to unset) may still be too much.
    const isTooMuch = bytes > 0 && bytes + size + RESULT_OVERHEAD_BYTES > MAX_ANSWER_BYTES;
    const { agentId, generation } = handle;
    results.push({ agentId, generation, result: isTooMuch ? deferred() : result });
    if (!isTooMuch && size > 0) bytes += size + RESULT_OVERHEAD_BYTES;
  }
  return results;
}

type Result = NonNullable<DeliveredEnvironment["result"]>;

function deferred(): Result {
  return { $case: "refusal", value: DeliveryRefusal.DELIVERY_REFUSAL_DEFERRED };
}

async function openAndSeal(
  session: DeliverySession,
  nonce: Buffer,
  handle: EnvironmentHandle,
  { log }: CallContext,
): Promise<Result> {
  const { agentId, generation } = handle;
  const outcome = await handle.open();
  if (outcome.kind === "refused") {
    const fields = { agentId, generation: String(generation), why: outcome.refusal };
    if (outcome.refusal === "tampered") log.error("environment fails its MAC", fields);
    else log.warn("environment not delivered", fields);
    return { $case: "refusal", value: REFUSALS[outcome.refusal] };
  }
  return { $case: "sealed", value: sealOpened(session, nonce, outcome.environment) };
}
