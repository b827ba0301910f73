import { conflict } from "../../../lib/errors";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { isUniqueViolation } from "../../../lib/postgres/errors";
import { agentRevoked } from "../self-rotation/domain/self-rotation-errors";
import {
  type BindingDeps,
  type By,
  countAttempt,
  type LimitedAttempt,
  record,
  withAgent,
} from "./binding-call";
import { isSameHash } from "./domain/agent-hash";
import { assertOwns, isOwnOrUnclaimed } from "./domain/authority";
import { keyAlreadyBound } from "./domain/binding-errors";
import type { BoundAgent } from "./domain/bound-agent";
import { HASH_CONSTRAINT } from "./store/binding-store";

export interface RebindRequest {
  id: string;
  hash: Buffer;
  /** Empty: none is shown. */
  keyPrefix: string;
}

const ATTEMPT: LimitedAttempt = {
  ...{ action: "rebind", message: "Too many rebinds (max 10 per hour)" },
  limit: { name: "agent-rebinds", max: 10, windowSeconds: 3600 },
};
/** Races that one call may lose: each means that somebody took or freed this very key meanwhile. */
const TRIES = 5;

/**
 * Binds an agent of the caller's account to another key; the id and all that is recorded under it stay.
 * With the hash that it has, nothing changes and nothing is counted, so that a lost answer can be asked
 * for again. Of several that would have the same key one gets it.
 */
export async function rebindAgent(
  deps: BindingDeps,
  by: By,
  request: RebindRequest,
): Promise<{ agent: BoundAgent; changed: boolean }> {
  const same = await findSame(deps, by, request);
  if (same) return { agent: same, changed: false };
  await countAttempt(deps, by, ATTEMPT, request.id);
  for (let tries = 0; tries < TRIES; tries++) {
    try {
      return await swap(deps, by, request);
    } catch (error) {
      // Who took it is not known before they have committed: look again.
      if (!isUniqueViolation(error, HASH_CONSTRAINT)) throw error;
    }
  }
  throw conflict(
    ErrorReason.ERROR_REASON_KEY_ALREADY_BOUND,
    "others bind this key, too: try again",
  );
}

/** The agent, if it has the key already; a prefix that was not known is. */
async function findSame(
  { pool, bindings }: BindingDeps,
  { developer }: By,
  { id, hash, keyPrefix }: RebindRequest,
): Promise<BoundAgent | undefined> {
  const ref = { tenantId: developer.tenantId, id };
  const agent = await bindings.find(pool, ref);
  if (agent?.owner !== developer.id || !isSameHash(hash, agent.hash)) return undefined;
  if (agent.keyPrefix !== "" || keyPrefix === "") return agent;
  return (await bindings.fillPrefix(pool, ref, { hash, keyPrefix })) ?? agent;
}

/** In one transaction: is the key another agent's, and if not, it is this one's. */
async function swap(
  deps: BindingDeps,
  { developer, caller }: By,
  { id, hash, keyPrefix }: RebindRequest,
): Promise<{ agent: BoundAgent; changed: boolean }> {
  const { tenantId } = developer;
  return withAgent(deps, developer, id, async (tx, agent) => {
    assertOwns(developer, agent);
    if (agent.revokedAt) throw agentRevoked(agent);
    const holder = await deps.bindings.findByHash(tx, tenantId, hash);
    if (holder?.id === agent.id) return { agent, changed: false };
    if (holder)
      throw keyAlreadyBound(isOwnOrUnclaimed(developer.id, holder) ? holder.id : undefined);
    const rebound = await deps.bindings.rebind(tx, agent, hash, keyPrefix);
    const detail = { rekey_count: rebound.rekeyCount };
    await record(tx, caller, { action: "rebind", id: agent.id, detail });
    return { agent: rebound, changed: true };
  });
}
