import { Role } from "../../../gen/murmur/rotation/v1/identity";
import { type Session, SessionServiceService } from "../../../gen/murmur/rotation/v1/sessions";
import { isAppError } from "../../../lib/errors";
import type { JsonSchema } from "../json/schema";
import type { RouteKit } from "./rpc-route";
import type { RestAnswer, RestRequest, Route } from "./route";

const tag = "sessions";
const OWN = "/v1/session";
const ALL = "/v1/sessions";
const TEXT: JsonSchema = { type: "string" };
/** As lists show it: printable, and no longer than a label. */
const MAX_USER_AGENT = 100;

const ROLES: Partial<Record<Role, string>> = {
  [Role.ROLE_MEMBER]: "member",
  [Role.ROLE_ADMIN]: "admin",
  [Role.ROLE_OWNER]: "owner",
};
/** For whom a session stands. Its value is in the cookie alone. */
const PERSON: JsonSchema = {
  ...{ type: "object", required: ["developer", "tenant_id", "role", "expires_at"] },
  properties: {
    developer: { ...TEXT, description: "`provider/username`." },
    tenant_id: TEXT,
    role: { ...TEXT, enum: Object.values(ROLES) },
    expires_at: { ...TEXT, format: "date-time" },
  },
};

/** Signing in to the dashboard and out again: a cookie that scripts cannot read stands for the caller. */
export function sessionRoutes(kit: RouteKit): Route[] {
  return [signInRoute(kit), whoRoute(kit), signOutRoute(kit), ...listRoutes(kit)];
}

function signInRoute({ backends }: RouteKit): Route {
  return {
    ...{ method: "POST", path: OWN, tag, operationId: "createSession" },
    summary: "Sign in: exchange an API key or an identity token for a cookie",
    description:
      "`Set-Cookie` has the session; it is the caller, with the scopes of the API key, for 12 hours at most and never longer than what it is made with. Over plain HTTP there is one for browsers on the gateway's own machine only.",
    params: {},
    answers: { 201: { description: "Signed in.", schema: PERSON } },
    async handle({ header, on, cookie }) {
      const keep = cookie.keeper();
      const userAgent = (header("user-agent") ?? "").replaceAll(/[^ -~]/g, "");
      const request = { userAgent: userAgent.slice(0, MAX_USER_AGENT) };
      const made = await backends.call(SessionServiceService.createSession, request, on);
      return { status: 201, body: toPerson(made), headers: { "set-cookie": keep(made.value) } };
    },
  };
}

function whoRoute({ backends }: RouteKit): Route {
  return {
    ...{ method: "GET", path: OWN, tag, operationId: "getSession" },
    summary: "Say who is signed in",
    params: {},
    answers: { 200: { description: "They are.", schema: PERSON } },
    async handle({ on }) {
      const found = await backends.call(SessionServiceService.getSession, {}, on);
      return { status: 200, body: toPerson(found) };
    },
  };
}

function signOutRoute({ backends }: RouteKit): Route {
  return {
    ...{ method: "DELETE", path: OWN, tag, operationId: "endSession" },
    summary: "Sign out: end the session and have the browser forget it",
    params: {},
    answers: { 204: { description: "Signed out." } },
    async handle({ on, cookie }) {
      try {
        await backends.call(SessionServiceService.endSession, {}, on);
      } catch (error) {
        // One that is over already is forgotten all the same.
        if (!cookie.isUsed || !isAppError(error, "UNAUTHENTICATED")) throw error;
      }
      return { status: 204, headers: { "set-cookie": cookie.forget() } };
    },
  };
}

function listRoutes({ rpc }: RouteKit): Route[] {
  const everywhere = rpc({
    ...{ method: "DELETE", path: ALL, tag },
    summary: "Sign out everywhere: end all of the caller's sessions",
    rpc: SessionServiceService.revokeAllSessions,
  });
  return [
    rpc({
      ...{ method: "GET", path: ALL, tag },
      summary: "List where the caller is signed in, newest first",
      rpc: SessionServiceService.listSessions,
    }),
    rpc({
      ...{ method: "DELETE", path: `${ALL}/{session_id}`, tag },
      summary: "End one of the caller's sessions",
      rpc: SessionServiceService.revokeSession,
    }),
    { ...everywhere, handle: (request) => forgetting(request, everywhere.handle(request)) },
  ];
}

async function forgetting({ cookie }: RestRequest, ending: Promise<RestAnswer>) {
  const answer = await ending;
  return cookie.isUsed ? { ...answer, headers: { "set-cookie": cookie.forget() } } : answer;
}

function toPerson(of: {
  session?: Session | undefined;
  tenantId: string;
  developer: string;
  role: Role;
}): Record<string, unknown> {
  return {
    ...{ developer: of.developer, tenant_id: of.tenantId, role: ROLES[of.role] },
    expires_at: of.session?.expiresAt?.toISOString(),
  };
}
