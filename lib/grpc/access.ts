import { permissionDenied, unauthenticated, type AppError } from "../errors";
import { RefusedCredential } from "../identity/refused-credential";
import { isInScope } from "../identity/scope";
import { hasRole, type Principal, type Role } from "../identity/principal";

/**
 * Who may call one RPC. Each service has one table of these, path → row; a server with an RPC
 * that has no row does not start.
 */
export interface AccessRow {
  /** Needs no credential: the request carries its own. */
  anyone?: true;
  /** Developers with at least this role. */
  developer?: Role;
  /** Operators of the installation: it is about none of the tenants. */
  operator?: true;
  /** VMs, with a proof by their identity key. */
  vm?: true;
  /** Names of services. */
  services?: readonly string[];
  /** API keys need no scope for it: it says only who they are. */
  anyScope?: true;
  /** Also for callers of a tenant that was deleted, with what they had before. */
  endedTenants?: true;
  /** A special answer for callers that are known and not allowed. */
  refusal?: (principal: Principal) => AppError;
}

export type AccessTable = Readonly<Record<string, AccessRow>>;

/** Throws UNAUTHENTICATED or PERMISSION_DENIED unless the row lets this caller in. */
export function checkAccess(row: AccessRow, principal: Principal | undefined): void {
  if (row.anyone) return;
  if (!principal) throw unauthenticated();
  if (isAllowed(row, principal)) return;
  throw row.refusal?.(principal) ?? permissionDenied();
}

/**
 * Throws PERMISSION_DENIED for a method that the caller's API key is not for, unless it is for the route
 * that the gateway serves by it.
 */
export function checkScopes(
  { access, method }: { access: AccessRow; method: string },
  principal: Principal | undefined,
  route?: { method: string; path: string },
): void {
  if (access.anyScope || principal?.kind !== "developer" || !principal.apiKey) return;
  const { id: credentialId, scopes } = principal.apiKey;
  if (isInScope(scopes, { kind: "rpc", path: method })) return;
  if (route && isInScope(scopes, { kind: "rest", ...route })) return;
  const what = route ? `${route.method} ${route.path}` : "this method";
  const { tenantId, kind, id } = principal;
  const refused = new RefusedCredential({ tenantId, kind, id, credentialId, why: "scope" });
  throw permissionDenied(`the scopes of the API key do not include ${what}`, refused);
}

function isAllowed(row: AccessRow, principal: Principal): boolean {
  switch (principal.kind) {
    case "developer":
      return row.developer !== undefined && hasRole(principal.role, row.developer);
    case "operator":
      return row.operator === true;
    case "vm":
      return row.vm === true;
    case "agent":
      return false;
    case "service":
      return row.services?.includes(principal.id) ?? false;
  }
}
