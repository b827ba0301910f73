import type { Clock } from "../../../lib/clock";
import type { Log } from "../../../lib/log";
import type { Pool } from "../../../lib/postgres/db";
import type { PersonStore } from "../people/store/person-store";
import { createEvidence, type EvidenceDeps } from "./evidence/evidence";
import { createCredentialService } from "./rpc/credential-service";
import { postgresCredentialStore } from "./store/postgres-credential-store";
import type { SealedAnswerStore } from "./store/sealed-answer-store";
import type { CredentialLease } from "./verification/credential-lease";
import { createVerification } from "./verification/create-verification";
import type { TokenUses, VerifyDeps } from "./verify-credentials";

export interface CredentialsDeps {
  pool: Pool;
  answers: SealedAnswerStore;
  people: PersonStore;
  tokenUses: TokenUses;
  /** Of this replica, since it was started. */
  replicaId: string;
  clock: Clock;
  log: Log;
}

type OwnDeps = keyof CredentialsDeps | "credentials" | "uses";

/** API keys and agent tokens. */
export interface Credentials {
  /** For whoever is presented with values. */
  verifying: VerifyDeps;
  /** For whoever else keeps in memory what may change. */
  lease: CredentialLease;
  /** What is to be served and run, when what gives running agents their environments is there. */
  serve(running: Omit<EvidenceDeps, OwnDeps>): {
    service: ReturnType<typeof createCredentialService>;
    /** Writes uses, and leads rotations on, until the signal aborts. */
    run(signal: AbortSignal): Promise<unknown>;
  };
}

export function createCredentials(deps: CredentialsDeps): Credentials {
  const { pool, answers, people, tokenUses, clock, log } = deps;
  const credentials = postgresCredentialStore;
  const { lease, lookup, uses, feed } = createVerification({ ...deps, db: pool, credentials });
  const verifying = { lookup, uses, tokenUses };
  const issuing = { pool, credentials, answers, people, clock };
  return {
    verifying,
    lease,
    serve(running) {
      const evidence = createEvidence({ ...running, ...issuing, uses, log });
      return {
        service: createCredentialService({ ...issuing, ...verifying, feed, evidence }),
        run: (signal) => Promise.all([uses.run(signal), evidence.run(signal)]),
      };
    },
  };
}
