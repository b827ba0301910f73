import { permissionDenied, unauthenticated, type AppError } from "../errors";
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
  /** VMs, with a proof by their identity key. */
  vm?: true;
  /** Names of services. */
  services?: readonly string[];
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

function isAllowed(row: AccessRow, principal: Principal): boolean {
  switch (principal.kind) {
    case "developer":
      return row.developer !== undefined && hasRole(principal.role, row.developer);
    case "vm":
      return row.vm === true;
    case "service":
      return row.services?.includes(principal.id) ?? false;
  }
}
