import { type Environment } from "../../lib/config";

/** The daemon gives every agent `MURMUR_AGENT`, and agents pass it on to what they start. */
export function isOnVm(env: Environment): boolean {
  return env["MURMUR_AGENT"] !== undefined;
}
