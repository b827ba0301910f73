import { type Sensitive } from "../lib/sensitive";
import { createHttp2Session, type Http2Session } from "./grpc/http2-session";

/** Where a service is, and who asks. */
export interface ServiceAddress {
  address: string;
  token: Sensitive<string> | undefined;
  caFile: string | undefined;
  /** The trace that the calls belong to, as W3C Trace Context writes it. */
  traceparent: string;
}

/** One connection to a service; `close` it. Connects at the first call. */
export function connect({ address, token, caFile, traceparent }: ServiceAddress): Http2Session {
  const headers = { traceparent, ...(token && { authorization: `Bearer ${token.expose()}` }) };
  return createHttp2Session({ address, caFile, headers });
}
