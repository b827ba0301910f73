import { randomBytes } from "node:crypto";
import {
  type DeliveredEnvironment,
  DeliveryRefusal,
  type FetchEnvironmentsResponse,
  SealedAhead,
} from "../../../gen/murmur/catalog/v1/delivery";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { isAppError, unavailable } from "../../../lib/errors";
import { sessionCredentials } from "../../../lib/identity/credentials";
import { type AgreementKey, generateAgreementKey } from "../../../lib/identity/key-agreement";
import { NONCE_BYTES } from "../../../lib/identity/signed-messages";
import type { Log } from "../../../lib/log";
import type { VmIdentity } from "../identity/vm-identity";
import type {
  EnvironmentSource,
  FetchedEnvironment,
  OpenedEnvironment,
} from "../reconcile/environment-source";
import {
  CatalogNotTrusted,
  type DeliveryClient,
  type DeliverySession,
  openSession,
} from "./delivery-session";
import { openEnvironment } from "./open-environment";

const MAX_BATCH = 500;
const TIMEOUT_MS = 15_000;
/** A replica that lost the session, a new token: each is mended by one more attempt. */
const MAX_ATTEMPTS = 4;

export interface DeliveryDeps {
  /** Over a channel with this VM's credentials. */
  client: DeliveryClient;
  /** Read anew at each use: keys that are pinned change. */
  identity: Pick<VmIdentity, "key" | "state" | "clock" | "currentToken" | "refused">;
  /** Random id of this daemon's incarnation, 16 bytes. */
  incarnation: Buffer;
  log: Log;
}

type Ref = { agentId: string; generation: bigint };

/**
 * Fetches sets from the catalog and opens them in memory. The session is agreed on at the first
 * need and again whenever the replica does not know it: after its restart, or behind another one.
 */
export function createDelivery(deps: DeliveryDeps): EnvironmentSource {
  let agreementKey: Promise<AgreementKey> | undefined;
  let session: Promise<DeliverySession> | undefined;

  let latest: DeliverySession | undefined;

  const open = async (signal: AbortSignal) => {
    agreementKey ??= generateAgreementKey();
    latest = await openSession({ ...deps, agreementKey: await agreementKey }, signal);
    return latest;
  };
  const currentSession = async (signal: AbortSignal): Promise<DeliverySession> => {
    const opening = (session ??= open(signal));
    try {
      const opened = await opening;
      if (!opened.isOver()) return opened;
    } catch (error) {
      if (session === opening) session = undefined;
      throw error;
    }
    if (session === opening) session = undefined;
    return currentSession(signal);
  };
  const forget = () => {
    session = undefined;
  };
  return {
    openAhead: (ref, bytes) => latest && openSealedAhead(deps, latest, ref, bytes),
    async fetch(wanted, signal) {
      const results: FetchedEnvironment[] = [];
      let left: readonly Ref[] = wanted;
      while (left.length > 0) {
        try {
          const batch = left.slice(0, MAX_BATCH);
          const fetched = await fetchBatch(deps, batch, { currentSession, forget, signal });
          results.push(...fetched.results);
          left = [...fetched.deferred, ...left.slice(MAX_BATCH)];
        } catch (error) {
          if (results.length === 0 || signal.aborted) throw error;
          // What came is used; the rest is asked for in the next pass.
          deps.log.warn("fetched a part of the environments only", { error });
          results.push(...left.map((ref) => ({ ...ref, refusal: "away" as const })));
          left = [];
        }
      }
      return results;
    },
  };
}

interface Call {
  currentSession: (signal: AbortSignal) => Promise<DeliverySession>;
  forget: () => void;
  signal: AbortSignal;
  /** Whether a new token was asked for in this call already. */
  hasRenewed?: boolean;
  /** Whether the session was unknown in this call already. */
  hasReopened?: boolean;
}

async function fetchBatch(deps: DeliveryDeps, batch: readonly Ref[], call: Call) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await fetchOnce(deps, batch, call);
    } catch (error) {
      const isLast = attempt === MAX_ATTEMPTS || call.signal.aborted;
      if (isLast || !canMend(deps, call, error)) throw toCallerError(deps, error);
    }
  }
}

/** Does what the next attempt needs; false when it would fare no better. */
function canMend({ identity, log }: DeliveryDeps, call: Call, error: unknown): boolean {
  const { forget } = call;
  if (isAppError(error, "UNAUTHENTICATED")) {
    const isFirst = !call.hasRenewed;
    call.hasRenewed = true;
    identity.refused();
    forget();
    return isFirst;
  }
  const isUnknown =
    isAppError(error) && error.reason === ErrorReason.ERROR_REASON_DELIVERY_SESSION_UNKNOWN;
  if (!isUnknown) return false;
  // A replica that was restarted costs one session. A VM has one at a time, the newest.
  if (call.hasReopened)
    log.warn("a new delivery session was lost at once: another machine may have this identity");
  call.hasReopened = true;
  forget();
  return true;
}

function toCallerError({ identity, log }: DeliveryDeps, error: unknown): unknown {
  if (!(error instanceof CatalogNotTrusted)) return error;
  log.error("no set is taken: what answers is not the catalog whose keys this VM pins");
  // If the catalog's key was rolled, the next token brings the new one, signed by the old.
  identity.refused();
  return unavailable(error.message, error);
}

async function fetchOnce(
  deps: DeliveryDeps,
  batch: readonly Ref[],
  { currentSession, signal }: Call,
): Promise<{ results: FetchedEnvironment[]; deferred: Ref[] }> {
  const session = await currentSession(signal);
  const { identity } = deps;
  const currentToken = () => identity.currentToken();
  const credentials = sessionCredentials(session, currentToken, identity.clock);
  const nonce = randomBytes(NONCE_BYTES);
  const response = await deps.client.fetchEnvironments(
    { sessionId: session.id, nonce, environments: [...batch] },
    { timeoutMs: TIMEOUT_MS, signal, credentials },
  );
  const results: FetchedEnvironment[] = [];
  const deferred: Ref[] = [];
  const { tenantId, vmId } = identity.state;
  for (const [ref, delivered] of inOrder(batch, response)) {
    if (isDeferred(delivered)) deferred.push(ref);
    else results.push(openResult(deps, session, delivered, { tenantId, vmId, nonce, ...ref }));
  }
  if (results.length === 0) throw unavailable("the catalog defers every environment");
  return { results, deferred };
}

/** Pairs answers with questions; what answers something else is not used at all. */
function inOrder(
  batch: readonly Ref[],
  { environments }: FetchEnvironmentsResponse,
): [Ref, DeliveredEnvironment][] {
  if (environments.length !== batch.length)
    throw unavailable("the catalog answered another number of environments than was asked for");
  return batch.map(({ agentId, generation }, at) => {
    const delivered = environments[at];
    if (delivered?.agentId !== agentId || delivered.generation !== generation)
      throw unavailable("the catalog answered for another environment than was asked for");
    return [{ agentId, generation }, delivered];
  });
}

function isDeferred({ result }: DeliveredEnvironment): boolean {
  return result?.$case === "refusal" && result.value === DeliveryRefusal.DELIVERY_REFUSAL_DEFERRED;
}

type Binding = Ref & { tenantId: string; vmId: string; nonce: Buffer };

function openResult(
  { log }: DeliveryDeps,
  session: DeliverySession,
  { result }: DeliveredEnvironment,
  binding: Binding,
): FetchedEnvironment {
  const { agentId, generation } = binding;
  const ref = { agentId, generation };
  if (result?.$case !== "sealed") return { ...ref, refusal: refusalOf(result?.value) };
  const plaintext = session.open(result.value, binding);
  const opened = plaintext && openEnvironment(plaintext, ref);
  if (opened) return { ...ref, ...opened };
  log.error("a set does not open as what was asked for", { agentId, generation: `${generation}` });
  return { ...ref, refusal: "tampered" };
}

/** What does not open is no alarm: anybody can have sent it. */
function openSealedAhead(
  { identity }: DeliveryDeps,
  session: DeliverySession,
  { agentId, generation }: Ref,
  bytes: Buffer,
): OpenedEnvironment | undefined {
  const ref = { agentId, generation };
  const ahead = decodeAhead(bytes);
  if (!ahead?.sealed || ahead.sessionId !== session.id) return undefined;
  const { tenantId, vmId } = identity.state;
  const plaintext = session.open(ahead.sealed, { tenantId, vmId, nonce: ahead.nonce, ...ref });
  const opened = plaintext && openEnvironment(plaintext, ref);
  return opened && { ...ref, ...opened };
}

function decodeAhead(bytes: Buffer): SealedAhead | undefined {
  try {
    return SealedAhead.decode(bytes);
  } catch {
    return undefined; // No such message: as good as none.
  }
}

function refusalOf(refusal: DeliveryRefusal | undefined) {
  switch (refusal) {
    case DeliveryRefusal.DELIVERY_REFUSAL_TAMPERED:
      return "tampered";
    case DeliveryRefusal.DELIVERY_REFUSAL_AWAY:
      return "away";
    default:
      return "not-available";
  }
}
