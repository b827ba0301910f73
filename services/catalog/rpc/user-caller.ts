import { invalid, permissionDenied } from "../../../lib/errors";
import type { CallContext } from "../../../lib/grpc/context";
import { hasRole } from "../../../lib/identity/principal";
import { callerOf, type Caller } from "../audit";
import { userNameFault } from "../domain/user";

/**
 * The caller of an RPC about one developer: that developer, or an admin or owner. Anybody else gets
 * PERMISSION_DENIED, whoever is asked for. `field` is where the request names the developer.
 */
export function callerAbout(context: CallContext, user: string, field: string): Caller {
  if (!mayKnowAll(context) && context.principal?.id !== user)
    throw permissionDenied("only the developer, an admin or an owner may do this");
  const fault = userNameFault(user);
  if (fault !== undefined) throw invalid(field, fault);
  return callerOf(context);
}

/** Whether the caller may know of all developers' profiles and secrets. */
export function mayKnowAll({ principal }: CallContext): boolean {
  return principal?.kind === "developer" && hasRole(principal.role, "admin");
}
