import type { Clock } from "../lib/clock";
import type { AdmitDeveloper } from "../lib/identity/authenticate";
import type { Log } from "../lib/log";
import { createChangeAsker, createChangeLease } from "./change-lease";
import {
  createCredentialVerifier,
  createRotationAsker,
  type CredentialVerifier,
} from "./credential-verifier";
import { createDeveloperAdmission, createTokenAsker } from "./developer-admission";
import type { RotationAskerDeps } from "./rotation-channel";
import { createVerifierMetrics } from "./verifier-metrics";

/** All that a service asks rotation about what is presented to it. */
export interface Verifier extends Pick<CredentialVerifier, "verify"> {
  readonly admit: AdmitDeveloper;
  /**
   * Follows changes while somebody asks, until the signal aborts: then answers are remembered for longer,
   * and an early end is felt within a tenth of a second.
   */
  run(signal: AbortSignal): Promise<void>;
}

export function createVerifier(deps: RotationAskerDeps & { clock: Clock; log: Log }): Verifier {
  const { clock, log } = deps;
  const lease = createChangeLease({ awaitChanges: createChangeAsker(deps), clock, log });
  const credentials = createCredentialVerifier(createRotationAsker(deps), clock, lease);
  const people = createDeveloperAdmission(createTokenAsker(deps), clock, lease);
  const metrics = createVerifierMetrics({ lease, credentials, people, clock });
  return {
    verify: (value) => credentials.verify(value),
    admit: people.admit,
    run: (signal) => metrics.during(() => lease.run(signal)),
  };
}
