import {
  CredentialFault,
  CredentialServiceService,
  type VerifyCredentialResponse,
} from "../gen/murmur/rotation/v1/credentials";
import type { Clock } from "../lib/clock";
import { unavailable } from "../lib/errors";
import { type Channel, createClient, withCredentials } from "../lib/grpc/client";
import { readCredentialValue } from "../lib/identity/credential-value";
import { serviceCredentials } from "../lib/identity/credentials";
import type { SigningKey } from "../lib/identity/signing-key";
import type { Sensitive } from "../lib/sensitive";
import { sha256Base64 } from "../lib/sha256";
import { createSharedQuestions } from "./shared-questions";

/** The tenant of services that act for the whole installation. */
export const ALL_TENANTS = "*";

/** How long a valid value is remembered at most: so much later an early end is felt here. */
const MAX_AGE_MS = 1_000;
/** Longer than any is. */
const MAX_VALUE_LENGTH = 100;
/** Values in one call, as rotation takes them. */
const BATCH = 1_000;
/** A busy rotation is slow, and one that is away refuses at once. */
const TIMEOUT_MS = 5_000;

export interface RotationAskerDeps {
  /** To rotation; closed by whoever opened it. */
  channel: Channel;
  /** Signs this service's own tokens. */
  key: SigningKey;
  /** `catalog`, `gateway` or `verifier`. */
  service: string;
  /** ALL_TENANTS, or the one whose values are known here. */
  tenantId: string;
}

/** What is known of values, one answer each in their order; at most BATCH of them. */
export type AskAboutValues = (
  values: readonly Sensitive<string>[],
) => Promise<VerifyCredentialResponse[]>;

/** Asks rotation. Whatever it answers but an answer, the caller's caller did nothing wrong: UNAVAILABLE. */
export function createRotationAsker(deps: RotationAskerDeps): AskAboutValues {
  const client = createClient(
    CredentialServiceService,
    withCredentials(deps.channel, serviceCredentials({ ...deps, audience: "rotation" })),
  );
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
   * is remembered for at most a second, and never past its own end, whatever the machine's clock does;
   * anything else is asked for each time. Throws UNAVAILABLE when rotation cannot be asked: there is no
   * answer then, never a guess.
   */
  readonly verify: (value: Sensitive<string>) => Promise<VerifyCredentialResponse>;
}

const UNKNOWN: VerifyCredentialResponse = {
  ...{ valid: false, fault: CredentialFault.CREDENTIAL_FAULT_UNKNOWN, credential: undefined },
  tenantId: "",
};

/** Asks for all who ask at once in one call, and once for each value. */
export function createCredentialVerifier(ask: AskAboutValues, clock: Clock): CredentialVerifier {
  const questions = createSharedQuestions({
    ...{ ask, batch: BATCH, clock },
    lifeMs: ({ valid, validForMs }: VerifyCredentialResponse) =>
      valid ? Math.min(MAX_AGE_MS, Number(validForMs ?? MAX_AGE_MS)) : 0,
  });
  return {
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
