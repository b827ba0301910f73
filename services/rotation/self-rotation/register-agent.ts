import { randomBytes, randomUUID } from "node:crypto";
import type { GatherRecord } from "../../../lib/audit/audit";
import { dnsLabelFault } from "../../../lib/dns-label";
import { invalid, permissionDenied, unauthenticated } from "../../../lib/errors";
import { createMarkedValue, readMarkedValue } from "../../../lib/identity/credential-value";
import { hasRole, type Role } from "../../../lib/identity/principal";
import type { Db, Tx } from "../../../lib/postgres/db";
import { withTransactionRetry } from "../../../lib/postgres/transaction";
import type { Sensitive } from "../../../lib/sensitive";
import { type Caller, writeAudit } from "../audit";
import { answerOnce, checkRequestId } from "../credentials/repeatable";
import { type AttemptLimit, type AttemptStore, tooManyAttempts } from "../limits/attempt-limit";
import { networkOf } from "../limits/address";
import type { RegisteredAgent } from "./domain/registered-agent";
import { registeredAgentExists } from "./domain/self-rotation-errors";
import { AT_ONCE, makePair, packPair, type Pair, unpackPair } from "./make-pair";
import { assertMayHavePair, type By, type ManageAgentDeps } from "./manage-agent";
import type { InvitationStore, Inviter } from "./store/invitation-store";

export interface RegisterAgentDeps extends ManageAgentDeps {
  invitations: InvitationStore;
  attempts: AttemptStore;
  gather: GatherRecord;
  /** Whose agents are those that anyone may register; absent: nobody may without more. */
  openRegistration?: OpenRegistration;
}

export interface RegisterAgentRequest {
  /** A developer who calls; undefined: none. */
  by: By | undefined;
  /** Empty: none. */
  invitation: Sensitive<string>;
  /** Empty: one is made up. */
  name: string;
  requestId: Sensitive<string>;
  /** Network address of the caller. */
  peer: string;
}

const LIMIT: AttemptLimit = { name: "open-registration", max: 3, windowSeconds: 900 };
/** The developer whose agents anyone may register. */
export interface OpenRegistration {
  tenantId: string;
  developer: string;
}

/** Who lets the agent register, who that is in the audit, and what else has to hold when it is written. */
interface Permission {
  owner: Inviter;
  caller: Caller;
  /** By what the answer is sealed, besides the request id. */
  sealedFor: string;
  use: (tx: Tx, agentId: string) => Promise<void>;
}

/** Makes an invitation of the caller's, which ends after 10 minutes. */
export async function inviteAgent(
  { pool, invitations }: Pick<RegisterAgentDeps, "pool" | "invitations">,
  by: By,
): Promise<{ invitation: Sensitive<string>; expiresAt: Date }> {
  assertMayHavePair(by);
  const { text, hash } = createMarkedValue("mur_inv_");
  const { tenantId, id, role } = by.developer;
  const expiresAt = await withTransactionRetry(pool, async (tx) => {
    const ends = await invitations.insert(tx, hash, { tenantId, id, role });
    const object = { action: "agent.invite", objectKind: "developer", objectId: id };
    await writeAudit(tx, by.caller, [{ ...object, outcome: "ok" }]);
    return ends;
  });
  return { invitation: text, expiresAt };
}

/** Registers an agent of whoever lets it register. */
export async function registerAgent(
  deps: RegisterAgentDeps,
  request: RegisterAgentRequest,
): Promise<Pair & { agent: RegisteredAgent }> {
  const { pool, people, agents, pairs, answers } = deps;
  const { name, requestId } = request;
  checkRequestId(requestId);
  const fault = name === "" ? undefined : dnsLabelFault("name", name);
  const { owner, caller, sealedFor, use } = await permissionOf(deps, pool, request);
  if (fault !== undefined) throw invalid("name", fault);
  const { tenantId } = owner;
  const repeatable = { tenantId, caller: sealedFor, requestId };
  return withTransactionRetry(pool, async (tx) => {
    const about = { request: repeatable, what: ["register-agent", name] };
    const answer = await answerOnce(tx, answers, about, async () => {
      const id = randomUUID();
      await use(tx, id);
      const person = await people.hold(tx, { tenantId, developer: owner.id });
      if (!person || person.isRemoved) throw notInvited();
      const chosen = name === "" ? `agent-${randomBytes(6).toString("hex")}` : name;
      const agent = {
        tenantId,
        id,
        name: chosen,
        owner: owner.id,
        role: lesser(owner.role, person.role),
      };
      if (!(await agents.insert(tx, agent))) throw registeredAgentExists(chosen);
      const pair = await makePair(pairs, tx, { tenantId, id }, AT_ONCE);
      await writeAudit(tx, caller, [
        {
          ...{ action: "agent.register", objectKind: "registered-agent", objectId: id },
          ...{ outcome: "ok", detail: { name: chosen, token: pair.credentialId } },
        },
      ]);
      return packPair(id, pair);
    });
    const { agentId, pair } = unpackPair(answer);
    const agent = await agents.find(tx, { tenantId, id: agentId });
    if (!agent) throw new Error("an agent that was registered is not there");
    return { ...pair, agent };
  });
}

/** Throws UNAUTHENTICATED for everybody who may not: an invitation that ended looks like none. */
async function permissionOf(
  deps: RegisterAgentDeps,
  db: Db,
  { by, invitation, peer }: RegisterAgentRequest,
): Promise<Permission> {
  if (by && hasRole(by.developer.role, "admin")) return ofDeveloper(by);
  if (invitation.expose() !== "") return ofInvitation(deps, db, invitation, peer);
  if (by) throw permissionDenied();
  if (deps.openRegistration === undefined) throw notInvited();
  return ofAnyone(deps, deps.openRegistration, peer);
}

function ofDeveloper(by: By): Permission {
  assertMayHavePair(by);
  const { tenantId, id, role, apiKey } = by.developer;
  return {
    owner: { tenantId, id, role },
    caller: by.caller,
    sealedFor: JSON.stringify([id, role, apiKey?.id]),
    use: () => Promise.resolve(),
  };
}

async function ofInvitation(
  { invitations }: RegisterAgentDeps,
  db: Db,
  invitation: Sensitive<string>,
  peer: string,
): Promise<Permission> {
  const hash = readMarkedValue("mur_inv_", invitation);
  const owner = hash && (await invitations.find(db, hash));
  if (!owner) throw notInvited();
  const id = hash.toString("hex").slice(0, 16);
  return {
    owner,
    caller: { tenantId: owner.tenantId, kind: "invitation", id, peer },
    sealedFor: `invitation:${hash.toString("hex")}`,
    async use(tx, agentId) {
      if (!(await invitations.spend(tx, hash, agentId))) throw notInvited();
    },
  };
}

/** The attempt counts, whatever becomes of it. */
async function ofAnyone(
  { attempts, pool, gather }: RegisterAgentDeps,
  { tenantId, developer }: OpenRegistration,
  peer: string,
): Promise<Permission> {
  const waitMs = await attempts.take(pool, LIMIT, { tenantId, subject: networkOf(peer) });
  if (waitMs !== undefined) {
    gather({
      ...{ tenantId, kind: "unknown", id: "", peer, action: "agent.register", objectId: "" },
      ...{ objectKind: "registered-agent", outcome: "refused", detail: { limit: LIMIT.name } },
    });
    throw tooManyAttempts(LIMIT, "Too many registrations (max 3 per 15 minutes)", waitMs);
  }
  return {
    owner: { tenantId, id: developer, role: "member" },
    caller: { tenantId, kind: "unknown", id: "", peer },
    sealedFor: "anyone",
    use: () => Promise.resolve(),
  };
}

function lesser(one: Role, other: Role): Role {
  return hasRole(one, other) ? other : one;
}

function notInvited() {
  return unauthenticated("an admin's credential or an invitation that is good is required");
}
