import { permissionDenied } from "../../../../lib/errors";
import {
  type DeveloperPrincipal,
  hasRole,
  type Principal,
} from "../../../../lib/identity/principal";
import { areWithin } from "../../../../lib/identity/scope";
import type { Credential } from "./credential";
import { credentialNotFound } from "./credential-errors";

/** Throws PERMISSION_DENIED for anybody else. */
export function developerOf(principal: Principal): DeveloperPrincipal {
  if (principal.kind !== "developer") throw permissionDenied();
  return principal;
}

/** Whose credentials a developer sees; undefined: everybody's of the tenant. */
export function visibleOwner({ role, id }: DeveloperPrincipal): string | undefined {
  return hasRole(role, "admin") ? undefined : id;
}

/** A developer sees their own credentials, an admin or owner all of the tenant; others' are not there. */
export function assertVisible(
  developer: DeveloperPrincipal,
  credential: Credential | undefined,
  id: string,
): Credential {
  const owner = visibleOwner(developer);
  // Sessions are their maker's own, and have a service of their own.
  const isShown = credential && credential.kind !== "session";
  if (isShown && (owner === undefined || credential.owner === owner)) return credential;
  throw credentialNotFound(id);
}

/**
 * Throws PERMISSION_DENIED when the caller's own API key is for less than a credential of this kind: its
 * value would give them the rest, or would be good when the key is not any more.
 */
export function assertMayHave(
  { apiKey, expiresAt: ownEnd, session }: DeveloperPrincipal,
  wish: Pick<Credential, "kind" | "scopes" | "expiresAt">,
): void {
  if (!apiKey) return;
  // A session's own end is no bound: what it was made with could make the same.
  const expiresAt = session ? session.makerExpiresAt : ownEnd;
  if (wish.kind === "api-key" && !areWithin(apiKey.scopes, wish.scopes))
    throw permissionDenied("the API key may not make one that may do more than itself");
  if (expiresAt && !(wish.expiresAt && wish.expiresAt <= expiresAt))
    throw permissionDenied("the API key may not make one that is valid for longer than itself");
}

/** Who sees it may end it, if it is their own or its role is not above theirs. */
export function assertMayEnd(
  developer: DeveloperPrincipal,
  credential: Credential | undefined,
  id: string,
): Credential {
  const seen = assertVisible(developer, credential, id);
  return seen.owner === developer.id ? seen : assertManages(developer, seen, id);
}

/** Who sees it manages it; but nobody one of a higher role, whose successor would give them that role. */
export function assertManages(
  developer: DeveloperPrincipal,
  credential: Credential | undefined,
  id: string,
): Credential {
  const seen = assertVisible(developer, credential, id);
  if (hasRole(developer.role, seen.role)) return seen;
  throw permissionDenied("the credential has a higher role than its caller");
}
