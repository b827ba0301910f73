import type { VerifyKey } from "../../../../lib/identity/authenticate";
import { toCaller } from "../../../../verifier/to-principal";
import { verifyCredentials, type VerifyDeps } from "../verify-credentials";
import { toVerdict } from "./to-credential";

/** Verifies the API keys and agent tokens that this service's own callers present, by the database. */
export function createKeyVerifier(deps: VerifyDeps): VerifyKey {
  return async (value) => {
    const [verdict] = await verifyCredentials(deps, undefined, [value]);
    return verdict && toCaller(toVerdict(verdict));
  };
}
