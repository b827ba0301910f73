import { type AppError, isAppError, unauthenticated } from "../errors";
import type { Principal } from "./principal";

/**
 * A credential that is known and does not open what it was presented for. Whoever presented it is told
 * what strangers are told; the audit gets to know whose it was.
 */
export class RefusedCredential {
  readonly tenantId: string;
  readonly kind: "developer" | "agent";
  /** The developer whose it is, or the agent that it names. */
  readonly id: string;
  /** The credential's own id; absent: an identity token, which has none. */
  readonly credentialId: string | undefined;
  readonly why: "expired" | "revoked" | "not let in" | "scope" | "tenant deleted";

  constructor(of: Pick<RefusedCredential, "tenantId" | "kind" | "id" | "credentialId" | "why">) {
    this.tenantId = of.tenantId;
    this.kind = of.kind;
    this.id = of.id;
    this.credentialId = of.credentialId;
    this.why = of.why;
  }
}

/** UNAUTHENTICATED, in the words for all; with what is known of the credential for `refusedBy`. */
export function refusedCredential(known: RefusedCredential | undefined): AppError {
  return unauthenticated(undefined, known);
}

/** The known credential for whose sake a call was refused. */
export function refusedBy(error: unknown): RefusedCredential | undefined {
  return isAppError(error) && error.cause instanceof RefusedCredential ? error.cause : undefined;
}

/** By which credential of its own kind a principal was let in; undefined: by none that has an id. */
export function credentialIdOf(principal: Principal | undefined): string | undefined {
  if (principal?.kind === "agent") return principal.tokenId;
  if (principal?.kind !== "developer") return undefined;
  return principal.session?.id ?? principal.apiKey?.id;
}
