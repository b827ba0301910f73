import { TenantServiceService } from "../../../gen/murmur/rotation/v1/tenants";
import type { RouteKit } from "./rpc-route";
import type { Route } from "./route";

const tag = "tenant";

/** The tenant as a whole. */
export function tenantRoutes({ rpc }: RouteKit): Route[] {
  const deletion = rpc({
    ...{ method: "GET", path: "/v1/tenant-deletion", tag },
    summary:
      "Show how far the deletion of a tenant is, by the Idempotency-Key that it was asked for with",
    rpc: TenantServiceService.getTenantDeletion,
  });
  return [
    rpc({
      ...{ method: "DELETE", path: "/v1/tenant", tag },
      summary: "Delete the caller's tenant with all that it has, for good",
      rpc: TenantServiceService.deleteTenant,
    }),
    {
      ...deletion,
      // The caller's credential has ended with the tenant: whoever sends it is asked for none.
      handle: (request) =>
        deletion.handle({ ...request, on: { ...request.on, bearer: undefined } }),
    },
  ];
}
