import { createHash } from "node:crypto";
import type { Clock } from "../../../lib/clock";
import { isAppError } from "../../../lib/errors";
import { parseJoinToken, type JoinToken } from "../../../lib/identity/join-token";
import { joinBinding } from "../../../lib/identity/signed-messages";
import type { Log } from "../../../lib/log";
import { backoffMs, isRetryable } from "../../../lib/retry";
import type { Sensitive } from "../../../lib/sensitive";
import { openIdentityKey, type IdentityKey } from "./identity-key";
import { callJoin, type RegisterClient } from "./register-calls";
import { openTrustBundle, pinnedBy } from "./trust-bundle";
import { VmIdentity } from "./vm-identity";
import { readVmState, writeVmState, type VmState } from "./vm-state";

export interface OpenVmIdentityDeps {
  /** The daemon's own directory, which survives reboots; only its user may change it. */
  directory: string;
  /** Over a channel without credentials: these calls are signed. */
  client: RegisterClient;
  /** Needed once; a spent one may stay in its place. */
  joinToken: Sensitive<string> | undefined;
  clock: Clock;
  log: Log;
}

const RETRY = { initialMs: 200, maxMs: 5_000 };

/**
 * Loads who this machine is, without asking anyone; a machine that has not joined yet joins, and
 * waits for the catalog as long as the signal lets it. With a new join token, a machine whose rights
 * have ended joins again. Throws when there is nothing to join with, or the token is refused.
 */
export async function openVmIdentity(
  deps: OpenVmIdentityDeps,
  signal: AbortSignal,
): Promise<VmIdentity> {
  const key = openIdentityKey(deps.directory);
  const state = readVmState(deps.directory);
  const token = deps.joinToken && parseJoinToken(deps.joinToken);
  if (deps.joinToken && !token) deps.log.error("the join token is not one: it is not used");
  if (!state) {
    if (!token)
      throw new Error("this machine has not joined: make a token with murmur vm join-token NAME");
    return join(deps, key, token, signal);
  }
  const known = new VmIdentity({ ...deps, key, state });
  const isNew = token !== undefined && hashOf(token) !== state.joinTokenHash;
  if (!isNew || !(await hasEnded(known))) return known;
  deps.log.warn("this VM's rights have ended, joining with the new token", { vmId: state.vmId });
  return joinOrStay(deps, key, { token, known }, signal);
}

async function hasEnded(known: VmIdentity): Promise<boolean> {
  try {
    await known.renew();
    return false;
  } catch (error) {
    // A catalog that is away has ended nothing.
    return isAppError(error, "UNAUTHENTICATED");
  }
}

/** A token that does not work leaves the machine what it was: its agents go on with the sets that they have. */
async function joinOrStay(
  deps: OpenVmIdentityDeps,
  key: IdentityKey,
  { token, known }: { token: JoinToken; known: VmIdentity },
  signal: AbortSignal,
): Promise<VmIdentity> {
  try {
    return await join(deps, key, token, signal);
  } catch (error) {
    if (signal.aborted) throw error;
    deps.log.error("could not join again", { error });
    return known;
  }
}

async function join(
  deps: OpenVmIdentityDeps,
  key: IdentityKey,
  token: JoinToken,
  signal: AbortSignal,
): Promise<VmIdentity> {
  for (let attempt = 0; ; attempt++) {
    const askedMs = deps.clock.monotonicMs();
    try {
      const joined = await callJoin(deps.client, key, token, signal);
      const { vmId, tenantId, name } = joined;
      const facts = { vmId, tenantId, name, binding: joinBinding(token.text) };
      const keys = openTrustBundle(joined.trustBundle, facts, pinnedBy(token.pin));
      if (!keys)
        throw new Error("what answered the join is not the catalog that made the join token");
      const state: VmState = {
        ...{ vmId, tenantId, name },
        deliveryPublicKeys: keys,
        joinTokenHash: hashOf(token),
      };
      // Before the token is used for anything: from here on the machine needs no join token.
      writeVmState(deps.directory, state);
      deps.log.info("joined", { vmId, tenantId, name });
      const identity = new VmIdentity({ ...deps, key, state });
      identity.take(joined.vmToken, askedMs);
      return identity;
    } catch (error) {
      if (signal.aborted || !isRetryable(error)) throw error;
      deps.log.warn("cannot join yet", { error });
      await deps.clock.sleep(backoffMs(attempt, RETRY), signal);
    }
  }
}

function hashOf({ text }: JoinToken): string {
  return createHash("sha256").update(text.expose()).digest("hex");
}
