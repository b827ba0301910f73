import type { FastifyRequest } from "fastify";
import type { Sensitive } from "../../../lib/sensitive";
import type { SessionCookie } from "../routes/route";
import { assertOwnPage } from "../sessions/own-page";
import { forgetSession, readSessionCookie, sessionKeeper } from "../sessions/session-cookie";
import { readBearer } from "./read-request";

/**
 * With what a request is made: its `Authorization`, or where it has none the session in its cookie. Throws
 * PERMISSION_DENIED for a change by cookie that no page of the gateway's own has asked for.
 */
export function readCaller(request: FastifyRequest): {
  bearer: Sensitive<string> | undefined;
  cookie: SessionCookie;
} {
  const { method, protocol, host, headers } = request;
  const asked = { method, protocol, host, headers };
  // One that cannot be read says all the same that the cookie is not meant.
  const session = headers.authorization === undefined ? readSessionCookie(asked) : undefined;
  if (session) assertOwnPage(asked);
  return {
    bearer: session ?? readBearer(headers),
    cookie: {
      isUsed: session !== undefined,
      keeper: () => sessionKeeper(asked),
      forget: () => forgetSession(asked),
    },
  };
}
