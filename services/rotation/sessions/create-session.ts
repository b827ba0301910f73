import { randomUUID } from "node:crypto";
import { permissionDenied, unauthenticated } from "../../../lib/errors";
import { createCredentialValue } from "../../../lib/identity/credential-value";
import type { DeveloperPrincipal } from "../../../lib/identity/principal";
import type { Pool, Tx } from "../../../lib/postgres/db";
import { withTransactionRetry } from "../../../lib/postgres/transaction";
import type { Sensitive } from "../../../lib/sensitive";
import { type Caller, writeAudit } from "../audit";
import type { Credential } from "../credentials/domain/credential";
import type { CredentialStore } from "../credentials/store/credential-store";
import { holdDeveloper } from "../people/admit";
import type { PersonStore } from "../people/store/person-store";
import type { Session } from "./domain/session";
import type { SessionStore } from "./store/session-store";

export interface CreateSessionDeps {
  pool: Pool;
  sessions: SessionStore;
  credentials: Pick<CredentialStore, "lock">;
  people: PersonStore;
}

/** A working day and what comes after it. */
const MAX_SECONDS = 12 * 3600;

/**
 * Makes a session that may do what the caller's credential may, for as long as that is good and for 12 hours
 * at most. Throws PERMISSION_DENIED by a session, which would never end otherwise, and UNAUTHENTICATED when
 * the credential or its owner has just ended.
 */
export async function createSession(
  { pool, sessions, credentials, people }: CreateSessionDeps,
  { developer, caller }: { developer: DeveloperPrincipal; caller: Caller },
  userAgent: string,
): Promise<{ session: Session; value: Sensitive<string> }> {
  if (developer.session)
    throw permissionDenied(
      "a session makes no other: sign in with an API key or an identity token",
    );
  const { tenantId, id: owner, role, apiKey } = developer;
  const { text: value, hash, prefix } = createCredentialValue("session");
  const session = await withTransactionRetry(pool, async (tx) => {
    await holdDeveloper(people, tx, developer);
    const key = apiKey && (await holdKey(credentials, tx, { tenantId, id: apiKey.id }));
    const made = await sessions.insert(tx, {
      ...{ id: randomUUID(), hash, prefix, tenantId, owner, role, userAgent },
      ...{ scopes: key?.scopes ?? [], apiKeyId: key?.id, madeFrom: caller.peer },
      ...{ makerExpiresAt: key ? key.expiresAt : developer.expiresAt, maxSeconds: MAX_SECONDS },
    });
    await writeAudit(tx, caller, [
      { action: "session.create", objectKind: "session", objectId: made.id, outcome: "ok" },
    ]);
    return made;
  });
  return { session, value };
}

/** Whoever ends it meanwhile waits, and ends the session, too. */
async function holdKey(
  credentials: CreateSessionDeps["credentials"],
  tx: Tx,
  ref: { tenantId: string; id: string },
): Promise<Credential> {
  const key = await credentials.lock(tx, ref);
  if (key?.state !== "active" && key?.state !== "in_grace") throw unauthenticated();
  return key;
}
