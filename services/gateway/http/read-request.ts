import type { IncomingHttpHeaders } from "node:http";
import { isIPv6 } from "node:net";
import { invalid } from "../../../lib/errors";
import { type Sensitive, sensitive } from "../../../lib/sensitive";

const UTF8 = new TextDecoder("utf-8", { fatal: true });
const TOKEN = /^bearer +([!-~]+)$/i;
const REQUEST_ID = /^[!-~]{1,128}$/;

/** The JSON of a body; undefined for an empty one. Nothing of what it holds is in the error. */
export function readJson(bytes: Uint8Array): unknown {
  if (bytes.length === 0) return undefined;
  let text: string;
  try {
    text = UTF8.decode(bytes);
  } catch {
    throw invalid("", "the body is not UTF-8");
  }
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw invalid("", "the body is not JSON");
  }
}

/** A query string as the router leaves it: what the router reads it with must not throw. */
export interface UnreadQuery {
  text: string;
}

export function unread(text: string): Record<keyof UnreadQuery, string> {
  return { text };
}

/** The fields of a query string. Throws INVALID_ARGUMENT for one that is given twice, or is not UTF-8. */
export function readQuery({ text }: UnreadQuery): Record<string, string> {
  const query: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const part of text.split("&").filter(Boolean)) {
    const at = part.indexOf("=");
    const name = decode(at < 0 ? part : part.slice(0, at));
    if (name in query) throw invalid(name, "the query has a field twice");
    query[name] = at < 0 ? "" : decode(part.slice(at + 1));
  }
  return query;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    throw invalid("", "the query is not percent-encoded UTF-8");
  }
}

/** The credential that a request carries; a header that cannot be one counts as none. */
export function readBearer({ authorization }: IncomingHttpHeaders): Sensitive<string> | undefined {
  const token = authorization === undefined ? undefined : TOKEN.exec(authorization)?.[1];
  return token === undefined ? undefined : sensitive(token);
}

/** The request id that a client chose, when it is one that can be shown and logged. */
export function readRequestId(headers: IncomingHttpHeaders): string | undefined {
  const given = headers["x-request-id"];
  return typeof given === "string" && REQUEST_ID.test(given) ? given : undefined;
}

/** An address as it stands in the audit: IPv4 plain, IPv6 in brackets. */
export function toClientAddress(ip: string): string {
  const plain = ip.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, "").replace(/%.*$/, "");
  return isIPv6(plain) ? `[${plain.toLowerCase()}]` : plain;
}
