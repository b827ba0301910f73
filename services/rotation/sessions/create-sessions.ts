import type { Clock } from "../../../lib/clock";
import type { Pool } from "../../../lib/postgres/db";
import { postgresCredentialStore as credentials } from "../credentials/store/postgres-credential-store";
import type { PersonStore } from "../people/store/person-store";
import { createSessionService } from "./rpc/session-service";
import { postgresSessionStore as sessions } from "./store/postgres-session-store";

/** Sessions, as they are served; whoever verifies credentials verifies them. */
export function createSessions(deps: { pool: Pool; people: PersonStore; clock: Clock }) {
  return createSessionService({ ...deps, sessions, credentials });
}
