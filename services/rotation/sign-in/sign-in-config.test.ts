import { loadConfig } from "../../../lib/config";
import { CONFIG_VARIABLES } from "../../../lib/config-variables";
import { readSignIn } from "./sign-in-config";

const read = (env: Record<string, string>) =>
  loadConfig(env, CONFIG_VARIABLES, (reader) => ({ signIn: readSignIn(reader) })).signIn;
const LEAST = {
  MURMUR_OIDC_ISSUER: "https://id.example.com",
  MURMUR_OIDC_CLIENT_ID: "murmur-cli",
  MURMUR_OIDC_PROVIDER: "corp",
  MURMUR_OIDC_DOMAIN: "Example.com",
};

it("signing in is off without an issuer", () => {
  expect(read({})).toBeUndefined();
});

it("is configured by issuer, client, the name of the provider and a domain; the rest has a default", () => {
  expect(read(LEAST)).toEqual({
    ...{ issuer: "https://id.example.com", clientId: "murmur-cli" },
    scopes: ["openid", "email", "profile"],
    naming: { provider: "corp", claim: "email", domain: "example.com" },
    newcomers: undefined,
    sessionSeconds: 604_800,
  });
  const { MURMUR_OIDC_DOMAIN: _domain, ...rest } = LEAST;
  expect(read({ ...rest, MURMUR_OIDC_USERNAME_CLAIM: "nickname" })?.naming).toEqual({
    ...{ provider: "corp", claim: "nickname", domain: undefined },
  });
  expect(read({ ...LEAST, MURMUR_OIDC_NEWCOMER_TENANT: "acme" })?.newcomers).toEqual({
    ...{ tenantId: "acme", role: "member" },
  });
});

it.each([
  [{ MURMUR_OIDC_ISSUER: "http://id.example.com" }, "MURMUR_OIDC_ISSUER must be an https URL"],
  [{ MURMUR_OIDC_ISSUER: "https://a:b@id.example" }, "MURMUR_OIDC_ISSUER must be an https URL"],
  [{ MURMUR_OIDC_ISSUER: "https://id.example?x=1" }, "MURMUR_OIDC_ISSUER must be an https URL"],
  [{ MURMUR_OIDC_ISSUER: "id.example" }, "MURMUR_OIDC_ISSUER must be an https URL"],
  [{ MURMUR_OIDC_ISSUER: "" }, "MURMUR_OIDC_DOMAIN needs MURMUR_OIDC_ISSUER"],
  [{ MURMUR_OIDC_CLIENT_ID: "" }, "MURMUR_OIDC_CLIENT_ID is required"],
  [{ MURMUR_OIDC_PROVIDER: "" }, "MURMUR_OIDC_PROVIDER is required"],
  [{ MURMUR_OIDC_PROVIDER: "a/b" }, "MURMUR_OIDC_PROVIDER must be lowercase letters"],
  [{ MURMUR_OIDC_SCOPES: "email" }, "MURMUR_OIDC_SCOPES must name openid"],
  [{ MURMUR_OIDC_DOMAIN: "" }, "MURMUR_OIDC_DOMAIN is required where"],
  [{ MURMUR_OIDC_SESSION: "1s" }, "MURMUR_OIDC_SESSION must be a minute or more"],
  [{ MURMUR_OIDC_NEWCOMER_ROLE: "member" }, "MURMUR_OIDC_NEWCOMER_ROLE needs"],
  [
    { MURMUR_OIDC_NEWCOMER_TENANT: "a", MURMUR_OIDC_NEWCOMER_ROLE: "owner" },
    "MURMUR_OIDC_NEWCOMER_ROLE must be one of member, admin",
  ],
])("is refused with %j", (change, problem) => {
  expect(() => read({ ...LEAST, ...change })).toThrow(problem);
});
