import type {
  Session as SessionMessage,
  SessionServiceService,
} from "../../../../gen/murmur/rotation/v1/sessions";
import { invalid, unauthenticated } from "../../../../lib/errors";
import type { CallContext } from "../../../../lib/grpc/context";
import type { HandlersOf } from "../../../../lib/grpc/definition";
import type { DeveloperPrincipal } from "../../../../lib/identity/principal";
import { labelFault } from "../../../../lib/label";
import { garbledPageToken, readPage, toPage } from "../../../../lib/page";
import { isUuid } from "../../agents/domain/spawn-request";
import { principalOf } from "../../agents/rpc/agent-service";
import { callerOf } from "../../audit";
import { developerOf } from "../../credentials/domain/authority";
import { ROLE_MESSAGES } from "../../identity/rpc/role-messages";
import { createSession, type CreateSessionDeps } from "../create-session";
import { type Session, sessionNotFound } from "../domain/session";
import { endSessions, type EndSessionsDeps } from "../end-sessions";

const PAGE = "sessions";
const SEQUENCE = /^\d{1,18}$/;

/** The handlers of SessionService. */
export function createSessionService(
  deps: CreateSessionDeps & EndSessionsDeps,
): HandlersOf<typeof SessionServiceService> {
  const { pool, sessions } = deps;
  return {
    async createSession({ userAgent }, context) {
      const fault = labelFault("user_agent", userAgent);
      if (fault !== undefined) throw invalid("user_agent", fault);
      const by = callOf(context);
      const { session, value } = await createSession(deps, by, userAgent);
      return { session: toMessage(session), value: value.expose(), ...personOf(by.developer) };
    },
    async getSession(_request, context) {
      const { developer, owner } = callOf(context);
      const found = await sessions.find(pool, owner, currentOf(developer));
      // It was valid a moment ago.
      if (!found) throw unauthenticated();
      return { session: toMessage(found, found.id), ...personOf(developer) };
    },
    async endSession(_request, context) {
      const { developer, caller } = callOf(context);
      await endSessions(deps, caller, currentOf(developer));
      return {};
    },
    async listSessions(request, context) {
      const { developer, owner } = callOf(context);
      const page = readPage(PAGE, request);
      if (page.after !== undefined && !SEQUENCE.test(page.after)) throw garbledPageToken();
      const rows = await sessions.list(pool, owner, page);
      const { items, nextPageToken } = toPage(PAGE, rows, page, (it) => String(it.sequence));
      const current = developer.session?.id;
      return { sessions: items.map((it) => toMessage(it, current)), nextPageToken };
    },
    async revokeSession({ sessionId }, context) {
      const { caller } = callOf(context);
      const id = readId(sessionId);
      if ((await endSessions(deps, caller, id)) === 0) throw sessionNotFound(id);
      return {};
    },
    async revokeAllSessions(_request, context) {
      return { revokedSessions: await endSessions(deps, callOf(context).caller, undefined) };
    },
  };
}

function callOf(context: CallContext) {
  const developer = developerOf(principalOf(context));
  const { tenantId, id } = developer;
  return { developer, caller: callerOf(context), owner: { tenantId, owner: id } };
}

/** The session that a call is made with. Throws UNAUTHENTICATED when it is made with anything else. */
function currentOf({ session }: DeveloperPrincipal): string {
  if (!session) throw unauthenticated("there is no session");
  return session.id;
}

/** Not shown again: people paste the value of a cookie. */
function readId(text: string): string {
  if (isUuid(text)) return text.toLowerCase();
  throw invalid("session_id", "session_id must be an id, as lists show it, and never a value");
}

function personOf({ tenantId, id, role }: DeveloperPrincipal) {
  return { tenantId, developer: id, role: ROLE_MESSAGES[role] };
}

function toMessage(session: Session, current?: string): SessionMessage {
  return {
    sessionId: session.id,
    createdAt: session.createdAt,
    expiresAt: session.expiresAt,
    lastUsedAt: session.lastUsedAt,
    apiKeyId: session.apiKey?.id ?? "",
    apiKeyLabel: session.apiKey?.label ?? "",
    madeFrom: session.madeFrom,
    userAgent: session.userAgent,
    isCurrent: session.id === current,
  };
}
