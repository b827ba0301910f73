import { type GetIdentityResponse } from "../../gen/murmur/rotation/v1/identity";
import { type Sensitive } from "../../lib/sensitive";
import { relativeTime } from "../output/relative-time";
import { roleWord } from "../people/views";

const SHOWN_OF_KEY = 12;

/** `github/alice (member) in tenant acme`. */
export function identityWords(identity: GetIdentityResponse): string {
  const { developer, role, tenantId, isOperator } = identity;
  if (isOperator) return `${developer}, operator of the installation`;
  return `${developer} (${roleWord(role)}) in tenant ${tenantId}`;
}

/** `expires in 3 hours`, `never expires`. */
export function endWords({ expiresAt }: GetIdentityResponse, now: Date): string {
  return expiresAt ? `expires ${relativeTime(expiresAt, now)}` : "never expires";
}

/** What kind of credential it is, and the part of a key that lists show, too. */
export function credentialWords(token: Sensitive<string>): string {
  const text = token.expose();
  return text.startsWith("mur_key_") ? `API key ${text.slice(0, SHOWN_OF_KEY)}…` : "identity token";
}
