import {
  type GetIdentityResponse,
  type IdentityServiceService,
  type IdentityTokenAnswer,
  Role,
} from "../../../../gen/murmur/rotation/v1/identity";
import type { Clock } from "../../../../lib/clock";
import { ErrorReason } from "../../../../gen/murmur/errors/v1/error_reason";
import { failedPrecondition, permissionDenied, unauthenticated } from "../../../../lib/errors";
import type { CallContext } from "../../../../lib/grpc/context";
import type { HandlersOf } from "../../../../lib/grpc/definition";
import { issueDeveloperToken } from "../../../../lib/identity/claims";
import type { DeveloperPrincipal, OperatorPrincipal } from "../../../../lib/identity/principal";
import type { SigningKey } from "../../../../lib/identity/signing-key";
import type { Db } from "../../../../lib/postgres/db";
import { sensitive } from "../../../../lib/sensitive";
import { principalOf } from "../../agents/rpc/agent-service";
import { callerOf, writeAudit } from "../../audit";
import { tenantOfVerifier } from "../../credentials/rpc/verifier-tenant";
import { type ExchangeDeps, exchangeToken } from "../../sign-in/exchange-token";
import type { VerifyIdentityTokens } from "../verify-identity-tokens";
import { ROLE_MESSAGES } from "./role-messages";

export interface IdentityServiceDeps {
  verifyTokens: VerifyIdentityTokens;
  /** Undefined: nobody signs in with an identity provider. */
  signIn: ExchangeDeps | undefined;
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
      const principal = principalOf(context);
      if (principal.kind === "operator") return Promise.resolve(toOperator(principal));
      const developer = developerOf(context);
      return Promise.resolve({
        tenantId: developer.tenantId,
        developer: developer.id,
        role: ROLE_MESSAGES[developer.role],
        expiresAt: developer.expiresAt,
        isOperator: false,
      });
    },
    async renewIdentityToken(_request, context) {
      const { tenantId, id, role, session, ...chain } = developerOf(context);
      const { firstIssuedAt, renewableUntil = Infinity } = chain;
      if (session) throw permissionDenied("a session is not renewed: sign in again");
      if (firstIssuedAt === undefined) throw permissionDenied("an API key is rotated, not renewed");
      const nowSeconds = Math.floor(deps.clock.now().getTime() / 1000);
      const endSeconds = Math.min(firstIssuedAt + MAX_CHAIN_SECONDS, renewableUntil);
      const ttlSeconds = Math.min(TTL_SECONDS, endSeconds - nowSeconds);
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
        ...(renewableUntil !== Infinity && { renewableUntil }),
        clock: deps.clock,
      });
      return { token, expiresAt: new Date((nowSeconds + ttlSeconds) * 1000) };
    },
    getSignIn() {
      const { issuer, clientId, scopes } = configured(deps.signIn).settings;
      return Promise.resolve({ issuer, clientId, scopes: [...scopes] });
    },
    async exchangeToken({ idToken, nonceSecret, tenantId }, { peer }) {
      const signIn = configured(deps.signIn);
      const { ref, role, nowSeconds, firstIssuedAt } = await exchangeToken(signIn, {
        ...{ idToken: sensitive(idToken), nonceSecret: sensitive(nonceSecret), tenantId, peer },
      });
      const { sessionSeconds } = signIn.settings;
      const ttlSeconds = Math.min(TTL_SECONDS, sessionSeconds);
      const token = await issueDeveloperToken(deps.signingKey, {
        ...{ ...ref, role, ttlSeconds, firstIssuedAt, clock: deps.clock },
        renewableUntil: nowSeconds + sessionSeconds,
      });
      const issuedSeconds = Math.floor(deps.clock.now().getTime() / 1000);
      const expiresAt = new Date((issuedSeconds + ttlSeconds) * 1000);
      return { ...ref, token, expiresAt, role: ROLE_MESSAGES[role] };
    },
    async verifyIdentityTokens({ tokens }, context) {
      const presented = tokens.map(({ token, peer }) => ({ token: sensitive(token), peer }));
      const within = tenantOfVerifier(principalOf(context));
      const developers = await deps.verifyTokens(within, presented);
      return { answers: developers.map(toAnswer) };
    },
  };
}

function toOperator({ id, expiresAt }: OperatorPrincipal): GetIdentityResponse {
  const inNone = { tenantId: "", role: Role.ROLE_UNSPECIFIED };
  return { ...inNone, developer: id, expiresAt, isOperator: true };
}

function toAnswer(developer: DeveloperPrincipal | undefined): IdentityTokenAnswer {
  if (!developer) return NOT_VALID;
  const { tenantId, id, role } = developer;
  return { valid: true, tenantId, developer: id, role: ROLE_MESSAGES[role] };
}

const NOT_VALID: IdentityTokenAnswer = {
  ...{ valid: false, tenantId: "", developer: "", role: Role.ROLE_UNSPECIFIED },
};

function configured(signIn: ExchangeDeps | undefined): ExchangeDeps {
  if (signIn) return signIn;
  const reason = ErrorReason.ERROR_REASON_SIGN_IN_NOT_CONFIGURED;
  throw failedPrecondition(reason, "no identity provider is configured");
}

function developerOf(context: CallContext): DeveloperPrincipal {
  const principal = principalOf(context);
  if (principal.kind !== "developer") throw permissionDenied();
  return principal;
}
