import { IdentityServiceService } from "../../../gen/murmur/rotation/v1/identity";
import type { RouteKit } from "./rpc-route";
import type { Route } from "./route";

const tag = "identity";

/** Who the caller is, and how people come to be known. */
export function identityRoutes({ rpc }: RouteKit): Route[] {
  return [
    rpc({
      ...{ method: "GET", path: "/v1/sign-in", tag },
      summary: "Say with which OpenID provider people sign in",
      rpc: IdentityServiceService.getSignIn,
    }),
    rpc({
      ...{ method: "POST", path: "/v1/sign-in/exchange", tag },
      summary: "Exchange an ID token of the provider for an identity token",
      description: "Needs no bearer: the ID token says who it is. Each is exchanged once.",
      rpc: IdentityServiceService.exchangeToken,
      required: ["id_token"],
    }),
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
