import { IdentityServiceService } from "../../../gen/murmur/rotation/v1/identity";
import type { RouteKit } from "./rpc-route";
import type { Route } from "./route";

const tag = "identity";

/** Who the caller is. */
export function identityRoutes({ rpc }: RouteKit): Route[] {
  return [
    rpc({
      ...{ method: "GET", path: "/v1/identity", tag },
      summary: "Say whom the token or API key names",
      rpc: IdentityServiceService.getIdentity,
    }),
    rpc({
      ...{ method: "POST", path: "/v1/identity/renew", tag },
      summary: "Exchange an identity token for one with a full life",
      rpc: IdentityServiceService.renewIdentityToken,
    }),
  ];
}
