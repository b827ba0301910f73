import type { Clock } from "../../../lib/clock";
import { invalid, isAppError, unauthenticated } from "../../../lib/errors";
import type { AdmitDeveloper } from "../../../lib/identity/authenticate";
import { toPrincipal } from "../../../lib/identity/claims";
import type { KeySet } from "../../../lib/identity/key-set";
import type { DeveloperPrincipal } from "../../../lib/identity/principal";
import {
  createTokenVerifier,
  PRODUCT_AUDIENCE,
  type TokenVerifier,
} from "../../../lib/identity/tokens";
import type { Sensitive } from "../../../lib/sensitive";

/** A token as it was presented to another service. */
interface Presented {
  token: Sensitive<string>;
  peer: string;
}

/**
 * Who the bearers of identity tokens are now, in their order; undefined for those who are not let in, and
 * for those of another tenant than `within` (undefined: of any). Throws INVALID_ARGUMENT for too many.
 */
export type VerifyIdentityTokens = (
  within: string | undefined,
  presented: readonly Presented[],
) => Promise<(DeveloperPrincipal | undefined)[]>;

const MAX_TOKENS = 100;

export function createIdentityTokenCheck(deps: {
  keySet: KeySet;
  admit: AdmitDeveloper;
  clock: Clock;
}): VerifyIdentityTokens {
  const tokens = createTokenVerifier({ ...deps, audiences: [PRODUCT_AUDIENCE] });
  return async (within, presented) => {
    if (presented.length > MAX_TOKENS)
      throw invalid("tokens", `tokens exceeds ${MAX_TOKENS} entries`);
    return Promise.all(
      presented.map(async (it) => {
        const developer = await bearerOf(tokens, it.token);
        if (!developer || (within !== undefined && developer.tenantId !== within)) return undefined;
        return deps.admit(developer, it);
      }),
    );
  };
}

/** Whom a token names; undefined for anything that is no developer's good token. */
async function bearerOf(
  tokens: TokenVerifier,
  token: Sensitive<string>,
): Promise<DeveloperPrincipal | undefined> {
  try {
    const verified = await tokens.verify(token.expose());
    const principal = await toPrincipal(verified, "", () => Promise.reject(unauthenticated()));
    return principal.kind === "developer" ? principal : undefined;
  } catch (error) {
    if (isAppError(error, "UNAUTHENTICATED")) return undefined;
    throw error;
  }
}
