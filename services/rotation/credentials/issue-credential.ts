import { randomUUID } from "node:crypto";
import type { Clock } from "../../../lib/clock";
import { invalid, permissionDenied } from "../../../lib/errors";
import { createCredentialValue, type CredentialKind } from "../../../lib/identity/credential-value";
import type { DeveloperPrincipal } from "../../../lib/identity/principal";
import { leaseOver } from "../../../lib/lease";
import type { Db, Pool, Tx } from "../../../lib/postgres/db";
import { withTransactionRetry } from "../../../lib/postgres/transaction";
import { type Sensitive, sensitive } from "../../../lib/sensitive";
import { type Caller, writeAudit } from "../audit";
import { holdDeveloper } from "../people/admit";
import type { PersonStore } from "../people/store/person-store";
import { assertManages, assertMayHave } from "./domain/authority";
import type { Credential } from "./domain/credential";
import { credentialEnded } from "./domain/credential-errors";
import { rotatesItself } from "../self-rotation/domain/self-rotation-errors";
import { answerOnce, checkRequestId } from "./repeatable";
import type { RepeatableRequest } from "./sealed-answer";
import type { CredentialStore, NewCredential } from "./store/credential-store";
import type { SealedAnswerStore } from "./store/sealed-answer-store";

export interface IssueDeps {
  pool: Pool;
  credentials: CredentialStore;
  answers: SealedAnswerStore;
  people: PersonStore;
  clock: Clock;
}

/** A credential with its value, which is shown to the caller and to nobody after. */
export interface Issued {
  credential: Credential;
  value: Sensitive<string>;
}

export interface CreateRequest {
  kind: CredentialKind;
  label: string;
  agentName: string;
  scopes: readonly string[];
  expiresAt: Date | undefined;
  /** Empty: not to be repeated. */
  requestId: Sensitive<string>;
}

export interface RotateRequest {
  id: string;
  /** One of GRACE_PERIODS. */
  graceSeconds: number;
  /** Empty: not to be repeated. */
  requestId: Sensitive<string>;
}

/** Who asks: the developer, and who that is in the audit. */
export interface By {
  developer: DeveloperPrincipal;
  caller: Caller;
}

/** Makes a credential of the caller's, with the caller's role. */
export async function createCredential(
  deps: IssueDeps,
  by: By,
  request: CreateRequest,
): Promise<Issued> {
  const { kind, label, agentName, scopes, expiresAt } = request;
  const { tenantId, id: owner, role } = by.developer;
  assertMayHave(by.developer, request);
  const wish = { kind, label, agentName, scopes, expiresAt: expiresAt?.toISOString() };
  return issueOnce(deps, by, { ...request, what: ["create", wish] }, async (tx) => {
    const issued = await insert(deps, tx, {
      ...{ kind, label, agentName, scopes, expiresAt, replaces: undefined },
      ...{ tenantId, owner, role, secretName: undefined },
    });
    await writeAudit(tx, by.caller, [entry("credential.create", issued.credential)]);
    return issued;
  });
}

/**
 * Makes the successor of a credential and ends the old one after the grace period at the latest. Of many
 * that ask at once, one does; the others are told which it is. Without grace, no replica calls the old one
 * valid once this has resolved.
 */
export async function rotateCredential(
  deps: IssueDeps,
  by: By,
  request: RotateRequest,
): Promise<Issued & { replaced: Credential }> {
  const { id, graceSeconds } = request;
  const ref = { tenantId: by.developer.tenantId, id };
  const what = ["rotate", id, graceSeconds];
  const issued = await issueOnce(deps, by, { ...request, what }, async (tx) => {
    const old = await lockRotatable(deps, tx, by, id);
    const { credential, value } = await insert(deps, tx, { ...old, replaces: id });
    const replaced = await deps.credentials.replace(tx, ref, credential.id, graceSeconds);
    const detail = { replaced_by: credential.id, grace_seconds: graceSeconds };
    await writeAudit(tx, by.caller, [entry("credential.rotate", old, detail)]);
    return { credential, value, replaced };
  });
  const { replaced } = issued;
  if (!replaced) throw new Error("a rotation replaced nothing");
  if (graceSeconds === 0) await leaseOver(deps.clock);
  return { ...issued, replaced };
}

/** The credential, locked; throws unless the caller may rotate it and it can be rotated. */
export async function lockRotatable(
  deps: IssueDeps,
  tx: Tx,
  { developer }: By,
  id: string,
): Promise<Credential> {
  const { tenantId } = developer;
  const old = assertManages(developer, await deps.credentials.lock(tx, { tenantId, id }), id);
  assertMayHave(developer, old);
  if (old.registeredAgentId)
    throw rotatesItself({ id: old.registeredAgentId, name: old.agentName });
  await assertRotatable(deps, tx, old);
  // Whoever removes them meanwhile waits, and ends the successor, too.
  const owner = await deps.people.hold(tx, { tenantId, developer: old.owner });
  if (!owner || owner.isRemoved)
    throw permissionDenied("the owner of the credential is not in the tenant any more");
  return old;
}

export interface Made extends Issued {
  /** Of a rotation: what it came after. */
  replaced?: Credential;
}

/** By what an answer is found again. */
export function requestOf(
  { developer: { tenantId, id, role, apiKey } }: Pick<By, "developer">,
  requestId: Sensitive<string>,
): RepeatableRequest {
  // Whoever may do less must not get an answer that was given to them when they might do more.
  return { tenantId, caller: JSON.stringify([id, role, apiKey?.id]), requestId };
}

/**
 * All in one transaction: after it nothing can fail that would lose a value. An answer that is given
 * again shows the credentials as they are by then.
 */
export async function issueOnce(
  { pool, answers, credentials, people }: IssueDeps,
  { developer }: By,
  { requestId, what }: { requestId: Sensitive<string>; what: readonly unknown[] },
  make: (tx: Tx) => Promise<Made>,
): Promise<Made> {
  checkRequestId(requestId);
  const request = requestOf({ developer }, requestId);
  const { tenantId } = developer;
  const find = async (tx: Tx, credentialId: string) => {
    const found = await credentials.find(tx, { tenantId, id: credentialId });
    if (!found) throw new Error("a credential that was made is not there");
    return found;
  };
  return withTransactionRetry(pool, async (tx) => {
    await holdDeveloper(people, tx, developer);
    let made: Made | undefined;
    const answer = await answerOnce(tx, answers, { request, what }, async () => {
      made = await make(tx);
      return sensitive(JSON.stringify([made.credential.id, made.value.expose()]));
    });
    if (made) return made;
    const [madeId, value] = JSON.parse(answer.expose()) as [string, string];
    const credential = await find(tx, madeId);
    const { replaces } = credential;
    const again = { credential, value: sensitive(value) };
    return replaces ? { ...again, replaced: await find(tx, replaces) } : again;
  });
}

async function insert(
  { credentials }: IssueDeps,
  tx: Tx,
  wish: Omit<NewCredential, "id" | "hash" | "prefix">,
): Promise<Issued> {
  const { text, hash, prefix } = createCredentialValue(wish.kind);
  const credential = await credentials.insert(tx, { ...wish, id: randomUUID(), hash, prefix });
  if (!credential) throw invalid("expires_at", "expires_at must be in the future");
  return { credential, value: text };
}

/** Throws CREDENTIAL_ENDED, with the successor, unless it is active. */
export async function assertRotatable(
  { credentials }: Pick<IssueDeps, "credentials">,
  tx: Db,
  old: Credential,
): Promise<void> {
  if (old.state === "active") return;
  const { tenantId, replacedBy } = old;
  const successor = replacedBy
    ? await credentials.find(tx, { tenantId, id: replacedBy })
    : undefined;
  throw credentialEnded(old, successor);
}

/** The audit of what became of a credential. */
export function entry(action: string, { id, kind }: Credential, detail = {}) {
  return {
    ...{ action, objectKind: kind, objectId: id },
    ...{ outcome: "ok" as const, detail },
  };
}
