import {
  type IdentityTokenAnswer,
  IdentityServiceService,
} from "../gen/murmur/rotation/v1/identity";
import type { Clock } from "../lib/clock";
import { unavailable } from "../lib/errors";
import { createClient } from "../lib/grpc/client";
import type { AdmitDeveloper } from "../lib/identity/authenticate";
import type { DeveloperPrincipal } from "../lib/identity/principal";
import type { Sensitive } from "../lib/sensitive";
import { type ChangeLease, MAX_LEASED_MS, subjectOf } from "./change-lease";
import { type RotationAskerDeps, rotationChannel } from "./rotation-channel";
import { createSharedQuestions, type Life, type MemoryCounts } from "./shared-questions";
import { toRole } from "./to-principal";

/** How long somebody who was let in is remembered when nothing is heard of changes: so much later a lesser role is felt. */
const MAX_AGE_MS = 1_000;
/** Tokens in one call, as rotation takes them. */
const BATCH = 100;
/** A busy rotation is slow, and one that is away refuses at once. */
const TIMEOUT_MS = 5_000;

/** A token as it was presented. */
export interface Presented {
  token: Sensitive<string>;
  peer: string;
}

/** Whether the bearers of tokens are let in, one answer each in their order; at most BATCH of them. */
export type AskAboutTokens = (presented: readonly Presented[]) => Promise<IdentityTokenAnswer[]>;

/** Asks rotation. Whatever it answers but an answer, the caller's caller did nothing wrong: UNAVAILABLE. */
export function createTokenAsker(deps: RotationAskerDeps): AskAboutTokens {
  const client = createClient(IdentityServiceService, rotationChannel(deps));
  return async (presented) => {
    const tokens = presented.map(({ token, peer }) => ({ token: token.expose(), peer }));
    try {
      return (await client.verifyIdentityTokens({ tokens }, { timeoutMs: TIMEOUT_MS })).answers;
    } catch (error) {
      throw unavailable("identity tokens cannot be verified now", error);
    }
  };
}

export interface DeveloperAdmission {
  /**
   * Lets developers in with the role that they have in rotation now, whatever their tokens say. Who is let
   * in is remembered for a second, or under the lease for ten, and not after a change that is heard of; who
   * is not is asked for each time. Throws UNAVAILABLE when rotation cannot be asked: there is no answer
   * then, never a guess.
   */
  readonly admit: AdmitDeveloper;
  readonly counts: Readonly<MemoryCounts>;
}

/** Asks for all who come at once in one call. Without a lease nothing is heard of changes. */
export function createDeveloperAdmission(
  ask: AskAboutTokens,
  clock: Clock,
  lease?: ChangeLease,
): DeveloperAdmission {
  const questions = createSharedQuestions({ ask, batch: BATCH, clock, lifeOf, lease });
  const admit: AdmitDeveloper = (developer, presented) => {
    const { tenantId, id, firstIssuedAt } = developer;
    // All that the answer hangs on: renewals of a token are let in as it was.
    const key = JSON.stringify([tenantId, id, firstIssuedAt]);
    const known = questions.recall(key);
    if (known) return admitted(developer, known);
    return questions.ask(key, presented).then((answer) => admitted(developer, answer));
  };
  return {
    admit,
    get counts() {
      return questions.counts;
    },
  };
}

function lifeOf({ valid, tenantId, developer }: IdentityTokenAnswer): Life | undefined {
  if (!valid) return undefined;
  const subject = subjectOf.person(tenantId, developer);
  return { subject, ms: MAX_AGE_MS, leasedMs: MAX_LEASED_MS };
}

function admitted(
  developer: DeveloperPrincipal,
  answer: IdentityTokenAnswer,
): DeveloperPrincipal | undefined {
  // Nobody else's answer, whatever becomes of the order.
  const isTheirs = answer.tenantId === developer.tenantId && answer.developer === developer.id;
  const role = answer.valid && isTheirs ? toRole(answer.role) : undefined;
  return role && { ...developer, role };
}
