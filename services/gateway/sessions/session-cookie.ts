import { isIPv4 } from "node:net";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { failedPrecondition } from "../../../lib/errors";
import { type Sensitive, sensitive } from "../../../lib/sensitive";

/** What of a request decides about cookies. */
export interface CookieRequest {
  /** `https` when the client speaks TLS, to the gateway or to a proxy that it trusts. */
  protocol: string;
  /** `murmur.example:7300`, as the client names the gateway. */
  host: string;
  /** By name in lower case. */
  headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** Only a server that speaks TLS, and none of its neighbours below the domain, can set one of this name. */
const SECURE_NAME = "__Host-murmur-session";
const PLAIN_NAME = "murmur-session";
const VALUE = /^mur_ses_[0-9A-Za-z]{49}$/;
const ATTRIBUTES = "Path=/; HttpOnly; SameSite=Strict";
/** What proxies say, trusted or not. */
const PROXY_HEADERS = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];

/** The session that a browser keeps; undefined when it keeps none, or more than one. */
export function readSessionCookie(request: CookieRequest): Sensitive<string> | undefined {
  const name = isSecure(request) ? SECURE_NAME : PLAIN_NAME;
  if (name === PLAIN_NAME && !isOnOneMachine(request)) return undefined;
  const prefix = `${name}=`;
  const all = String(request.headers["cookie"] ?? "").split(";");
  const [own, ...more] = all.map((it) => it.trim()).filter((it) => it.startsWith(prefix));
  const value = own?.slice(prefix.length) ?? "";
  return more.length === 0 && VALUE.test(value) ? sensitive(value) : undefined;
}

/**
 * Makes the `Set-Cookie` of a session's value. Throws SESSION_NEEDS_TLS, before there is a session, where
 * the browser would send it in the clear.
 */
export function sessionKeeper(request: CookieRequest): (value: string) => string {
  if (isSecure(request)) return (value) => `${SECURE_NAME}=${value}; ${ATTRIBUTES}; Secure`;
  if (!isOnOneMachine(request)) throw needsTls();
  return (value) => `${PLAIN_NAME}=${value}; ${ATTRIBUTES}`;
}

/** The `Set-Cookie` that has the browser forget its session. */
export function forgetSession(request: CookieRequest): string {
  const isTls = isSecure(request);
  const name = isTls ? SECURE_NAME : PLAIN_NAME;
  return `${name}=; ${ATTRIBUTES}${isTls ? "; Secure" : ""}; Max-Age=0`;
}

/** As the client's browser names itself, where it came from is what it asks. */
export function originOf({ protocol, host }: CookieRequest): string | undefined {
  const url = `${protocol}://${host}`;
  return URL.canParse(url) ? new URL(url).origin : undefined;
}

function isSecure({ protocol }: CookieRequest): boolean {
  return protocol.toLowerCase() === "https";
}

/**
 * Whether what goes between the browser and the gateway in the clear stays on a machine: the browser has it
 * under a loopback name, and nobody passes it on. A page of another origin than that name is not asked by it.
 */
function isOnOneMachine(request: CookieRequest): boolean {
  const { headers } = request;
  if (PROXY_HEADERS.some((name) => headers[name] !== undefined)) return false;
  const origin = originOf(request);
  if (origin === undefined || (headers["origin"] ?? origin) !== origin) return false;
  const { hostname } = new URL(origin);
  const isLocalName = hostname === "localhost" || hostname.endsWith(".localhost");
  const isLoopback = isIPv4(hostname) ? hostname.startsWith("127.") : hostname === "[::1]";
  return isLocalName || isLoopback;
}

function needsTls() {
  return failedPrecondition(
    ErrorReason.ERROR_REASON_SESSION_NEEDS_TLS,
    "a session needs TLS: this is plain HTTP, under a name that is not localhost or through a proxy that the gateway does not trust; set MURMUR_GATEWAY_TLS_CERT_FILE, or MURMUR_GATEWAY_TRUSTED_PROXIES for a proxy that ends TLS",
  );
}
