import { permissionDenied } from "../../../lib/errors";
import { type CookieRequest, originOf } from "./session-cookie";

const SAFE_METHODS = ["GET", "HEAD"];
/** No form and no other site's script can send it: it would have to ask first, and is never allowed to. */
const MARK = "x-murmur-dashboard";

/**
 * A browser sends its cookie whoever asks it to. Throws PERMISSION_DENIED for a change that is asked for by
 * anything but a page of the gateway's own (behind `SameSite=Strict`, which knows sites and no origins).
 */
export function assertOwnPage(request: CookieRequest & { method: string }): void {
  if (SAFE_METHODS.includes(request.method)) return;
  const { headers } = request;
  if (headers[MARK] !== "1")
    throw permissionDenied("a change by a session needs the header X-Murmur-Dashboard: 1");
  const site = headers["sec-fetch-site"];
  const isOwn =
    site === undefined
      ? headers["origin"] !== undefined && headers["origin"] === originOf(request)
      : site === "same-origin";
  if (!isOwn)
    throw permissionDenied("a change by a session has to come from a page of this gateway's own");
}
