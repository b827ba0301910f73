import type { IdentityServiceService } from "../../../../gen/murmur/rotation/v1/identity";
import type { Clock } from "../../../../lib/clock";
import { permissionDenied, unauthenticated } from "../../../../lib/errors";
import type { CallContext } from "../../../../lib/grpc/context";
import type { HandlersOf } from "../../../../lib/grpc/definition";
import { issueDeveloperToken } from "../../../../lib/identity/claims";
import type { DeveloperPrincipal } from "../../../../lib/identity/principal";
import type { SigningKey } from "../../../../lib/identity/signing-key";
import type { Db } from "../../../../lib/postgres/db";
import { principalOf } from "../../agents/rpc/agent-service";
import { callerOf, writeAudit } from "../../audit";
import { ROLE_MESSAGES } from "./role-messages";

export interface IdentityServiceDeps {
  db: Db;
  /** Its issuer is `murmur-rotation`. */
  signingKey: SigningKey;
  clock: Clock;
}

/** Life of a renewed token. */
const TTL_SECONDS = 24 * 3600;
/** A chain of renewals ends here: then an operator issues a new first token. */
const MAX_CHAIN_SECONDS = 90 * 24 * 3600;

/** The handlers of IdentityService. */
export function createIdentityService(
  deps: IdentityServiceDeps,
): HandlersOf<typeof IdentityServiceService> {
  return {
    getIdentity(_request, context) {
      const developer = developerOf(context);
      return Promise.resolve({
        tenantId: developer.tenantId,
        developer: developer.id,
        role: ROLE_MESSAGES[developer.role],
        expiresAt: developer.expiresAt,
      });
    },
    async renewIdentityToken(_request, context) {
      const { tenantId, id, role, firstIssuedAt } = developerOf(context);
      if (firstIssuedAt === undefined) throw permissionDenied("an API key is rotated, not renewed");
      const nowSeconds = Math.floor(deps.clock.now().getTime() / 1000);
      const ttlSeconds = Math.min(TTL_SECONDS, firstIssuedAt + MAX_CHAIN_SECONDS - nowSeconds);
      if (!(ttlSeconds > 0)) throw unauthenticated();
      await writeAudit(deps.db, callerOf(context), [
        { action: "identity.renew", objectKind: "developer", objectId: id, outcome: "ok" },
      ]);
      const token = await issueDeveloperToken(deps.signingKey, {
        tenantId,
        developer: id,
        role,
        ttlSeconds,
        firstIssuedAt,
        clock: deps.clock,
      });
      return { token, expiresAt: new Date((nowSeconds + ttlSeconds) * 1000) };
    },
  };
}

function developerOf(context: CallContext): DeveloperPrincipal {
  const principal = principalOf(context);
  if (principal.kind !== "developer") throw permissionDenied();
  return principal;
}
