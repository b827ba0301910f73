import { unauthenticated } from "../../../lib/errors";
import type { CallContext } from "../../../lib/grpc/context";
import type { SessionOwner } from "../domain/delivery-session";

/** The VM that makes a call; its token and proof were checked before. */
export function vmCaller({ principal }: CallContext): SessionOwner {
  if (principal?.kind !== "vm") throw unauthenticated();
  const { tenantId, id, keyThumbprint } = principal;
  return { tenantId, vmId: id, keyThumbprint };
}
