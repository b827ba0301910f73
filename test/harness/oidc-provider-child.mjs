// A real OpenID provider (oidc-provider) on this machine, started by test/harness/oidc-provider.ts. It says
// where it is on the channel to its parent, and lives as long as that.
import { createServer } from "node:http";
import { Provider } from "oidc-provider";

const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: "murmur-cli",
        token_endpoint_auth_method: "none",
        grant_types: ["urn:ietf:params:oauth:grant-type:device_code"],
        response_types: [],
        redirect_uris: [],
      },
    ],
    claims: { openid: ["sub"], email: ["email", "email_verified"] },
    conformIdTokenClaims: false,
    features: { deviceFlow: { enabled: true }, devInteractions: { enabled: true } },
    // Whoever signs in as NAME is NAME@example.com.
    findAccount: (_context, id) => ({
      accountId: id,
      claims: () => ({ sub: `subject-of-${id}`, email: `${id}@example.com`, email_verified: true }),
    }),
  });
  // Clients wait 5 seconds between their questions unless they are told otherwise.
  provider.use(async (context, next) => {
    await next();
    if (context.oidc?.route === "device_authorization")
      context.body = { ...context.body, interval: 1 };
  });
  server.on("request", provider.callback());
  process.send({ issuer });
});
process.on("disconnect", () => process.exit());
