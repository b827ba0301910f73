import { createHash, timingSafeEqual } from "node:crypto";
import type { GatherRecord } from "../../../lib/audit/audit";
import type { GatheredRecord } from "../../../lib/audit/gathered-records";
import type { Clock } from "../../../lib/clock";
import { type AppError, invalid } from "../../../lib/errors";
import { holdBack } from "../../../lib/identity/hold-back";
import { readCredentialValue, readMarkedValue } from "../../../lib/identity/credential-value";
import { leaseOver } from "../../../lib/lease";
import type { Pool, Tx } from "../../../lib/postgres/db";
import { withTransactionRetry } from "../../../lib/postgres/transaction";
import { type Sensitive, sensitive } from "../../../lib/sensitive";
import { writeAudit } from "../audit";
import { requestIdReused } from "../credentials/repeatable";
import { openAnswer, requestDigest, sealAnswer } from "../credentials/sealed-answer";
import type { SealedAnswerStore } from "../credentials/store/sealed-answer-store";
import type { AttemptLimit, AttemptStore } from "../limits/attempt-limit";
import { networkOf } from "../limits/address";
import {
  cannotRotate,
  rotationRefused,
  rotationSecretMissing,
  tooManyRotations,
} from "./domain/self-rotation-errors";
import { AT_ONCE, makePair, packPair, type Pair, TWO_PHASE_SECONDS, unpackPair } from "./make-pair";
import type { ReuseAlarms } from "./reuse-alarms";
import type { PairStore, PresentedToken } from "./store/pair-store";
import type { RegisteredAgentStore } from "./store/registered-agent-store";

export interface RotateSelfDeps {
  pool: Pool;
  agents: RegisteredAgentStore;
  pairs: PairStore;
  attempts: AttemptStore;
  answers: SealedAnswerStore;
  reuses: Pick<ReuseAlarms, "note">;
  gather: GatherRecord;
  clock: Clock;
}

/** What is presented, as it came. */
export interface RotateSelfRequest {
  apiKey: Sensitive<string>;
  rotationSecret: Sensitive<string>;
  confirm: string;
  /** Empty: not to be repeated. */
  requestId: Sensitive<string>;
  /** Network address of the caller. */
  peer: string;
}

/** The new pair, and whose it is. */
export interface SelfRotated extends Pair {
  agentId: string;
  agentName: string;
}

const LIMIT: AttemptLimit = { name: "self-rotation", max: 3, windowSeconds: 900 };
const TWO_PHASE = "two-phase";
const MAX_REQUEST_ID = /^[!-~]{0,128}$/;
/** Stands for what cannot be a value of ours: no value has it as its hash. */
const NO_HASH = Buffer.alloc(32);

interface Attempt {
  request: RotateSelfRequest;
  tokenHash: Buffer;
  secretHash: Buffer;
}

type Outcome = ({ rotated: SelfRotated } | { fault: AppError; rotatedAway?: PresentedToken }) & {
  /** Whoever may do this as often as they like fills no table by it. */
  gathered?: Pick<GatheredRecord, "outcome" | "detail"> & { of: PresentedToken | undefined };
};

/**
 * Replaces a pair. All is one transaction: it is committed with the attempt and its audit also where
 * the answer is a refusal. No replica calls what it ended valid once this has resolved. Each
 * refusal takes the same statements and is held back: how long it took tells nothing.
 */
export async function rotateSelf(
  deps: RotateSelfDeps,
  request: RotateSelfRequest,
): Promise<SelfRotated> {
  const attempt = {
    request,
    tokenHash: readCredentialValue(request.apiKey) ?? NO_HASH,
    secretHash: readMarkedValue("mur_rot_", request.rotationSecret) ?? NO_HASH,
  };
  const outcome = await holdBack(
    deps.clock,
    withTransactionRetry(deps.pool, (tx) => tryToRotate(deps, tx, attempt)),
    (result) => "fault" in result,
  );
  if (outcome.gathered) deps.gather(toRecord(request, outcome.gathered));
  if ("rotated" in outcome) {
    await leaseOver(deps.clock);
    return outcome.rotated;
  }
  if (outcome.rotatedAway) deps.reuses.note(outcome.rotatedAway);
  throw outcome.fault;
}

async function tryToRotate(deps: RotateSelfDeps, tx: Tx, attempt: Attempt): Promise<Outcome> {
  const { request } = attempt;
  const found = await deps.pairs.findPresented(tx, attempt.tokenHash);
  const again = await findAnswer(deps, tx, attempt, found);
  if (again) return { ...again, gathered: answeredAgain(again, found) };
  const who = { tenantId: "", subject: networkOf(request.peer) };
  const waitMs = await deps.attempts.take(tx, LIMIT, who);
  if (waitMs !== undefined)
    return {
      fault: tooManyRotations(LIMIT, waitMs),
      gathered: { outcome: "refused", detail: { limit: LIMIT.name }, of: found },
    };
  const fault = requestFault(request) ?? pairFault(attempt, found);
  if (fault || !found?.agent) return refuse(tx, attempt, found, fault ?? rotationRefused());
  // From here on it is the only one that changes this agent.
  const agent = await deps.agents.lock(tx, { tenantId: found.tenantId, id: found.agent.id });
  const current = await deps.pairs.findPresented(tx, attempt.tokenHash);
  const answered = await findAnswer(deps, tx, attempt, current);
  if (answered) return { ...answered, gathered: answeredAgain(answered, current) };
  const late = pairFault(attempt, current);
  if (late || !agent || !current) return refuse(tx, attempt, current, late ?? rotationRefused());
  return rotate(deps, tx, attempt, current);
}

async function rotate(
  { pairs, answers }: RotateSelfDeps,
  tx: Tx,
  { request }: Attempt,
  { tenantId, id, agent }: PresentedToken,
): Promise<Outcome> {
  if (!agent) throw new Error("a pair that was accepted is nobody's");
  const isTwoPhase = request.confirm === TWO_PHASE;
  const kept = isTwoPhase ? { ids: [id], seconds: TWO_PHASE_SECONDS } : AT_ONCE;
  const pair = await makePair(pairs, tx, { tenantId, id: agent.id }, kept);
  if (request.requestId.expose() !== "") {
    const repeatable = repeatableOf(request, tenantId);
    const sealed = sealAnswer(repeatable, packPair(agent.id, pair));
    await answers.put(tx, tenantId, requestDigest(repeatable), {
      requestHash: requestHashOf(request),
      sealed,
    });
  }
  await writeAudit(tx, { tenantId, kind: "agent", id: agent.id, peer: request.peer }, [
    {
      ...{ action: "agent.rotate-self", objectKind: "registered-agent", objectId: agent.id },
      outcome: "ok",
      detail: {
        ...{ name: agent.name, token: pair.credentialId, replaced: id },
        ...(isTwoPhase && { confirm: TWO_PHASE }),
      },
    },
  ]);
  return { rotated: { ...pair, agentId: agent.id, agentName: agent.name } };
}

function answeredAgain(
  outcome: Outcome,
  of: PresentedToken | undefined,
): NonNullable<Outcome["gathered"]> {
  if ("rotated" in outcome) return { outcome: "ok", detail: { again: "the same answer" }, of };
  return { outcome: "refused", detail: { reason: outcome.fault.message }, of };
}

function toRecord(
  { peer }: RotateSelfRequest,
  { of, outcome, detail }: NonNullable<Outcome["gathered"]>,
): GatheredRecord {
  const id = of?.agent?.id ?? "";
  return {
    ...{ tenantId: of?.tenantId ?? "", kind: of ? "agent" : "unknown", id, peer, outcome, detail },
    ...{ action: "agent.rotate-self", objectKind: "registered-agent", objectId: id },
  };
}

/** One row whatever the cause, of the tenant where there is one. */
async function refuse(
  tx: Tx,
  { request, tokenHash }: Attempt,
  found: PresentedToken | undefined,
  fault: AppError,
): Promise<Outcome> {
  const id = found?.agent?.id ?? "";
  const kind = found ? "agent" : "unknown";
  await writeAudit(tx, { tenantId: found?.tenantId ?? "", kind, id, peer: request.peer }, [
    {
      ...{ action: "agent.rotate-self", objectKind: "registered-agent", objectId: id },
      ...{ outcome: "refused", detail: { reason: fault.message } },
    },
  ]);
  const isReuse = found && tokenHash !== NO_HASH && isRotatedAway(found);
  return isReuse ? { fault, rotatedAway: found } : { fault };
}

/** What is wrong with the request, whoever it is from. */
function requestFault({
  rotationSecret,
  confirm,
  requestId,
}: RotateSelfRequest): AppError | undefined {
  if (rotationSecret.expose() === "") return rotationSecretMissing();
  if (confirm !== "" && confirm !== TWO_PHASE)
    return invalid("confirm", `confirm must be "${TWO_PHASE}" or absent`);
  if (!MAX_REQUEST_ID.test(requestId.expose()))
    return invalid("request_id", "request_id must be 1 to 128 printable characters");
  return undefined;
}

/** What is wrong with the pair, first the token, then the secret: both are looked at in any case. */
function pairFault(
  { secretHash }: Attempt,
  found: PresentedToken | undefined,
): AppError | undefined {
  const isOwnSecret = timingSafeEqual(secretHash, found?.secretHash ?? NO_HASH);
  if (!found || isRotatedAway(found)) return rotationRefused();
  const isCurrent =
    found.agent !== undefined && !found.agent.isRevoked && found.state !== "revoked";
  if (!isCurrent || !found.secretHash) return cannotRotate();
  return isOwnSecret ? undefined : rotationRefused();
}

function isRotatedAway({ state, isReplaced }: PresentedToken): boolean {
  return state === "expired" || (state === "revoked" && isReplaced);
}

/** The answer that the same pair got to the same request id, while nobody has used what is in it. */
async function findAnswer(
  { answers, agents }: RotateSelfDeps,
  tx: Tx,
  { request }: Attempt,
  found: PresentedToken | undefined,
): Promise<Outcome | undefined> {
  if (request.requestId.expose() === "") return undefined;
  const tenantId = found?.tenantId ?? "";
  const repeatable = repeatableOf(request, tenantId);
  const stored = await answers.find(tx, tenantId, requestDigest(repeatable));
  if (!stored) return undefined;
  const { agentId, pair } = unpackPair(openAnswer(repeatable, stored.sealed));
  const agent = await agents.find(tx, { tenantId, id: agentId });
  const isUnused = agent?.token.id === pair.credentialId && !agent.token.firstUsedAt;
  if (!agent || agent.revokedAt || !isUnused) return undefined;
  if (!stored.requestHash.equals(requestHashOf(request))) return { fault: requestIdReused() };
  return { rotated: { ...pair, agentId, agentName: agent.name } };
}

/** The pair is part of the key: a request id that can be guessed opens nothing. */
function repeatableOf({ apiKey, rotationSecret, requestId }: RotateSelfRequest, tenantId: string) {
  const presented = [apiKey, rotationSecret, requestId].map((it) => it.expose());
  return { tenantId, caller: "self", requestId: sensitive(JSON.stringify(presented)) };
}

function requestHashOf({ confirm }: RotateSelfRequest): Buffer {
  return createHash("sha256")
    .update(JSON.stringify(["rotate-self", confirm]))
    .digest();
}
