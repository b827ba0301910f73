import type { Clock } from "../../../lib/clock";
import { invalid } from "../../../lib/errors";
import type { DeveloperPrincipal } from "../../../lib/identity/principal";
import { leaseOver } from "../../../lib/lease";
import type { Pool } from "../../../lib/postgres/db";
import { withTransactionRetry } from "../../../lib/postgres/transaction";
import { type Caller, writeAudit } from "../audit";
import { assertMayEnd } from "./domain/authority";
import type { Credential } from "./domain/credential";
import type { CredentialStore } from "./store/credential-store";

export interface RevokeDeps {
  pool: Pool;
  credentials: CredentialStore;
  clock: Clock;
}

/**
 * Ends a credential at `at`, or at once; one that is revoked already stays as it is. No replica calls it
 * valid after its end once this has resolved.
 */
export async function revokeCredential(
  { pool, credentials, clock }: RevokeDeps,
  { developer, caller }: { developer: DeveloperPrincipal; caller: Caller },
  { id, at }: { id: string; at: Date | undefined },
): Promise<Credential> {
  const ref = { tenantId: developer.tenantId, id };
  const credential = await withTransactionRetry(pool, async (tx) => {
    const before = assertMayEnd(developer, await credentials.lock(tx, ref), id);
    if (before.state === "revoked") return before;
    const ended = await credentials.end(tx, ref, at);
    if (!ended) throw invalid("at", "at must not be after the time at which it ends by itself");
    const detail = at === undefined ? {} : { at: at.toISOString() };
    await writeAudit(tx, caller, [
      {
        ...{ action: "credential.revoke", objectKind: before.kind, objectId: id },
        ...{ outcome: "ok", detail },
      },
    ]);
    return ended;
  });
  await leaseOver(clock);
  return credential;
}
