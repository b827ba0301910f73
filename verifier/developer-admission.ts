import {
  type IdentityTokenAnswer,
  IdentityServiceService,
} from "../gen/murmur/rotation/v1/identity";
import type { Clock } from "../lib/clock";
import { unavailable } from "../lib/errors";
import { createClient, withCredentials } from "../lib/grpc/client";
import type { AdmitDeveloper } from "../lib/identity/authenticate";
import { serviceCredentials } from "../lib/identity/credentials";
import type { DeveloperPrincipal } from "../lib/identity/principal";
import type { Sensitive } from "../lib/sensitive";
import type { RotationAskerDeps } from "./credential-verifier";
import { createSharedQuestions } from "./shared-questions";
import { toRole } from "./to-principal";

/** How long somebody who was let in is remembered at most: so much later a lesser role is felt here. */
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
  const client = createClient(
    IdentityServiceService,
    withCredentials(deps.channel, serviceCredentials({ ...deps, audience: "rotation" })),
  );
  return async (presented) => {
    const tokens = presented.map(({ token, peer }) => ({ token: token.expose(), peer }));
    try {
      return (await client.verifyIdentityTokens({ tokens }, { timeoutMs: TIMEOUT_MS })).answers;
    } catch (error) {
      throw unavailable("identity tokens cannot be verified now", error);
    }
  };
}

/**
 * Lets developers in with the role that they have in rotation now, whatever their tokens say. Who is let
 * in is remembered for at most a second; who is not is asked for each time. Throws UNAVAILABLE when
 * rotation cannot be asked: there is no answer then, never a guess.
 */
export function createDeveloperAdmission(ask: AskAboutTokens, clock: Clock): AdmitDeveloper {
  const questions = createSharedQuestions({
    ...{ ask, batch: BATCH, clock },
    lifeMs: ({ valid }: IdentityTokenAnswer) => (valid ? MAX_AGE_MS : 0),
  });
  return (developer, presented) => {
    const { tenantId, id, firstIssuedAt } = developer;
    // All that the answer hangs on: renewals of a token are let in as it was.
    const key = JSON.stringify([tenantId, id, firstIssuedAt]);
    const known = questions.recall(key);
    if (known) return admitted(developer, known);
    return questions.ask(key, presented).then((answer) => admitted(developer, answer));
  };
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
