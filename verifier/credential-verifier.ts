import {
  CredentialFault,
  CredentialServiceService,
  CredentialState,
  type VerifyCredentialResponse,
} from "../gen/murmur/rotation/v1/credentials";
import type { Clock } from "../lib/clock";
import { unavailable } from "../lib/errors";
import { createClient } from "../lib/grpc/client";
import { readCredentialValue } from "../lib/identity/credential-value";
import type { Sensitive } from "../lib/sensitive";
import { sha256Base64 } from "../lib/sha256";
import { type ChangeLease, MAX_LEASED_MS, subjectOf } from "./change-lease";
import { type RotationAskerDeps, rotationChannel } from "./rotation-channel";
import { createSharedQuestions, type Life, type MemoryCounts } from "./shared-questions";

/** How long a valid value is remembered when nothing is heard of changes: so much later an early end is felt. */
const MAX_AGE_MS = 1_000;
/** Longer than any is. */
const MAX_VALUE_LENGTH = 100;
/** Values in one call, as rotation takes them. */
const BATCH = 1_000;
/** A busy rotation is slow, and one that is away refuses at once. */
const TIMEOUT_MS = 5_000;

/** What is known of values, one answer each in their order; at most BATCH of them. */
export type AskAboutValues = (
  values: readonly Sensitive<string>[],
) => Promise<VerifyCredentialResponse[]>;

/** Asks rotation. Whatever it answers but an answer, the caller's caller did nothing wrong: UNAVAILABLE. */
export function createRotationAsker(deps: RotationAskerDeps): AskAboutValues {
  const client = createClient(CredentialServiceService, rotationChannel(deps));
  return async (values) => {
    const request = { values: values.map((value) => value.expose()) };
    try {
      return (await client.verifyCredentials(request, { timeoutMs: TIMEOUT_MS })).answers;
    } catch (error) {
      throw unavailable("API keys and agent tokens cannot be verified now", error);
    }
  };
}

export interface CredentialVerifier {
  /**
   * What is known of a presented value. What cannot be one is unknown without asking anybody. A valid one
   * is remembered for a second, or under the lease for ten; not after it has changed, as far as that is
   * heard, and never past its own end, whatever the machine's clock does. One that was replaced is
   * remembered for a second in any case: whoever ends it on evidence has to know of its uses. Anything
   * else is asked for each time. Throws UNAVAILABLE when rotation cannot be asked: there is no answer
   * then, never a guess.
   */
  readonly verify: (value: Sensitive<string>) => Promise<VerifyCredentialResponse>;
  readonly counts: Readonly<MemoryCounts>;
}

const UNKNOWN: VerifyCredentialResponse = {
  ...{ valid: false, fault: CredentialFault.CREDENTIAL_FAULT_UNKNOWN, credential: undefined },
  tenantId: "",
};

/** Asks for all who ask at once in one call, and once for each value. Without a lease nothing is heard of changes. */
export function createCredentialVerifier(
  ask: AskAboutValues,
  clock: Clock,
  lease?: ChangeLease,
): CredentialVerifier {
  const questions = createSharedQuestions({ ask, batch: BATCH, clock, lifeOf, lease });
  return {
    get counts() {
      return questions.counts;
    },
    async verify(value) {
      const text = value.expose();
      if (text.length > MAX_VALUE_LENGTH) return UNKNOWN;
      const hash = sha256Base64(text);
      const known = questions.recall(hash);
      if (known) return known;
      if (!readCredentialValue(value)) return UNKNOWN;
      return questions.ask(hash, value);
    },
  };
}

function lifeOf({ valid, validForMs, credential }: VerifyCredentialResponse): Life | undefined {
  if (!valid || !credential) return undefined;
  const leftMs = validForMs === undefined ? Infinity : Number(validForMs);
  const ms = Math.min(MAX_AGE_MS, leftMs);
  const isReplaced =
    credential.state !== CredentialState.CREDENTIAL_STATE_ACTIVE || credential.replacedBy !== "";
  return {
    ...{ subject: subjectOf.credential(credential.credentialId), ms },
    leasedMs: isReplaced ? ms : Math.min(MAX_LEASED_MS, leftMs),
  };
}
