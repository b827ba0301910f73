import { type Channel, withCredentials } from "../lib/grpc/client";
import { serviceCredentials } from "../lib/identity/credentials";
import type { SigningKey } from "../lib/identity/signing-key";

/** The tenant of services that act for the whole installation. */
export const ALL_TENANTS = "*";

/** A service that asks rotation. */
export interface RotationAskerDeps {
  /** To rotation; closed by whoever opened it. */
  channel: Channel;
  /** Signs this service's own tokens. */
  key: SigningKey;
  /** `catalog`, `gateway` or `verifier`. */
  service: string;
  /** ALL_TENANTS, or the one whose values are known here. */
  tenantId: string;
}

/** The same channel, on which this service says who it is. */
export function rotationChannel({ channel, ...who }: RotationAskerDeps): Channel {
  return withCredentials(channel, serviceCredentials({ ...who, audience: "rotation" }));
}
