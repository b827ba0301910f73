import type { ConfigReader } from "../../../lib/config";
import { isSafeUrl } from "../../../lib/identity/oidc/fetch-json";
import type { SignInSettings } from "./exchange-token";

const ISSUER = "MURMUR_OIDC_ISSUER";
const CLIENT_ID = "MURMUR_OIDC_CLIENT_ID";
const PROVIDER = "MURMUR_OIDC_PROVIDER";
const SCOPES = "MURMUR_OIDC_SCOPES";
const CLAIM = "MURMUR_OIDC_USERNAME_CLAIM";
const DOMAIN = "MURMUR_OIDC_DOMAIN";
const TENANT = "MURMUR_OIDC_NEWCOMER_TENANT";
const ROLE = "MURMUR_OIDC_NEWCOMER_ROLE";
const SESSION = "MURMUR_OIDC_SESSION";
const PROVIDER_NAME = /^[a-z0-9-]{1,63}$/;
const WEEK_MS = 7 * 24 * 3_600_000;

/** How people sign in; undefined when no issuer is configured. */
export function readSignIn(read: ConfigReader): SignInSettings | undefined {
  const issuer = read.optionalString(ISSUER);
  if (issuer === undefined) {
    for (const name of [CLIENT_ID, PROVIDER, SCOPES, CLAIM, DOMAIN, TENANT, ROLE, SESSION])
      if (read.optionalString(name) !== undefined) read.problem(`${name} needs ${ISSUER}`);
    return undefined;
  }
  if (!isIssuer(issuer))
    read.problem(
      `${ISSUER} must be an https URL, or one of this machine, without query and fragment`,
    );
  const scopes = read.list(SCOPES, ["openid", "email", "profile"]);
  if (!scopes.includes("openid")) read.problem(`${SCOPES} must name openid`);
  const sessionMs = read.durationMs(SESSION, WEEK_MS);
  if (sessionMs < 60_000) read.problem(`${SESSION} must be a minute or more`);
  return {
    ...{ issuer, clientId: read.string(CLIENT_ID), scopes, naming: readNaming(read) },
    newcomers: readNewcomers(read),
    sessionSeconds: Math.floor(sessionMs / 1000),
  };
}

function isIssuer(text: string): boolean {
  if (!URL.canParse(text) || /[?#]/.test(text)) return false;
  return isSafeUrl(new URL(text));
}

function readNaming(read: ConfigReader): SignInSettings["naming"] {
  const provider = read.string(PROVIDER);
  if (provider !== "" && !PROVIDER_NAME.test(provider))
    read.problem(`${PROVIDER} must be lowercase letters, digits and hyphens`);
  const claim = read.string(CLAIM, "email");
  const domain = read.optionalString(DOMAIN)?.toLowerCase();
  if (claim === "email" && domain === undefined)
    read.problem(`${DOMAIN} is required where ${CLAIM} is email`);
  return { provider, claim, domain };
}

function readNewcomers(read: ConfigReader): SignInSettings["newcomers"] {
  const tenantId = read.optionalString(TENANT);
  if (tenantId === undefined) {
    if (read.optionalString(ROLE) !== undefined) read.problem(`${ROLE} needs ${TENANT}`);
    return undefined;
  }
  if (read.optionalString(DOMAIN) === undefined) read.problem(`${TENANT} needs ${DOMAIN}`);
  return { tenantId, role: read.oneOf(ROLE, ["member", "admin"], "member") };
}
