import { permissionDenied } from "../../../../lib/errors";
import { isDeveloperName } from "../../../../lib/identity/developer-name";

/** How somebody who has signed in with the provider is called here. */
export interface Naming {
  /** The part of developers' names before the slash. */
  provider: string;
  /** Whose value is the part after it. */
  claim: string;
  /** The one domain whose addresses count; undefined: none does. */
  domain: string | undefined;
}

/** Somebody who has signed in. */
export interface SignedIn {
  /** `provider/username`. */
  developer: string;
  /** Whether the provider vouches for an address in the configured domain. */
  isOfDomain: boolean;
}

/**
 * The developer that a provider's claims name. Of an address only the local part counts, so that it must be
 * of the one configured domain, and verified where the claim is `email`. Throws PERMISSION_DENIED.
 */
export function developerOf(
  claims: Readonly<Record<string, unknown>>,
  { provider, claim, domain }: Naming,
): SignedIn {
  const email = toAddress(claims["email"]);
  const isVerified = claims["email_verified"] === true;
  const isOfDomain = isVerified && email !== undefined && email.domain === domain;
  if (claim === "email" && !isOfDomain)
    throw permissionDenied("the identity provider vouches for no address of the configured domain");
  const username = toUsername(claims[claim], domain);
  const developer = `${provider}/${username ?? ""}`;
  if (username === undefined || !isDeveloperName(developer))
    throw permissionDenied(`the identity provider says no usable ${claim}`);
  return { developer, isOfDomain };
}

function toUsername(value: unknown, domain: string | undefined): string | undefined {
  if (typeof value !== "string") return undefined;
  if (!value.includes("@")) return value;
  const address = toAddress(value);
  return address && address.domain === domain ? address.local : undefined;
}

/** In lower case: providers do not tell `Alice@` from `alice@`. */
function toAddress(value: unknown): { local: string; domain: string } | undefined {
  if (typeof value !== "string") return undefined;
  const [, local, domain] = /^([^@\s]+)@([^@\s]+)$/.exec(value.toLowerCase()) ?? [];
  return local === undefined || domain === undefined ? undefined : { local, domain };
}
