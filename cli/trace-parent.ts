import { randomBytes } from "node:crypto";
import { type Environment } from "../lib/config";

const TRACE_PARENT = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

/**
 * What ties the calls of one command into one trace (W3C Trace Context): that of `TRACEPARENT`,
 * when a script or a build has one, else a new one.
 */
export function traceParent(env: Environment): string {
  const given = env["TRACEPARENT"];
  if (given !== undefined && TRACE_PARENT.test(given)) return given;
  return `00-${randomBytes(16).toString("hex")}-${randomBytes(8).toString("hex")}-01`;
}
