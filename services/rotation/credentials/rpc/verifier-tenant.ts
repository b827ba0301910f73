import type { Principal } from "../../../../lib/identity/principal";
import { ALL_TENANTS } from "../../../../verifier/rotation-channel";

/** The product's own services, to which a credential is presented before its tenant is known. */
const FOR_ALL_TENANTS = ["catalog", "gateway"];

/** The tenant whose credentials a service may have verified; undefined: of all. */
export function tenantOfVerifier({ id, tenantId }: Principal): string | undefined {
  const isOurs = FOR_ALL_TENANTS.includes(id);
  return isOurs && tenantId === ALL_TENANTS ? undefined : tenantId;
}
