import { createHash, randomBytes } from "node:crypto";
import * as client from "openid-client";
import { type GetSignInResponse } from "../../gen/murmur/rotation/v1/identity";
import { sensitive, type Sensitive } from "../../lib/sensitive";
import { LocalError } from "../errors";

/** What somebody does in a browser, there and then. */
export interface DevicePrompt {
  /** Where to go; the code may stand in it already. */
  url: string;
  /** What has to be seen, or typed, there. */
  code: string;
}

/** What the provider says of who has signed in. */
export interface SignedIn {
  idToken: Sensitive<string>;
  /** What the nonce was made of. */
  nonceSecret: Sensitive<string>;
}

const TIMEOUT_SECONDS = 10;
/** Longer than any provider gives. */
const MAX_WAIT_SECONDS = 3600;
const NONCE_BYTES = 32;
const LOCAL = /^http:\/\/(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])[:/]/;

/**
 * Signs in by the device flow (RFC 8628): tells what to do in a browser, and waits until that is done, or
 * the provider's time for it is over. Throws LocalError.
 */
export async function deviceLogin(
  { issuer, clientId, scopes }: GetSignInResponse,
  tell: (prompt: DevicePrompt) => void,
): Promise<SignedIn> {
  const nonceSecret = randomBytes(NONCE_BYTES).toString("base64url");
  const nonce = createHash("sha256").update(nonceSecret).digest("base64url");
  try {
    const provider = await discover(issuer, clientId);
    const scope = scopes.join(" ");
    const device = await client.initiateDeviceAuthorization(provider, { scope, nonce });
    tell({
      url: device.verification_uri_complete ?? device.verification_uri,
      code: device.user_code,
    });
    const waitSeconds = Math.min(device.expires_in, MAX_WAIT_SECONDS);
    const signal = AbortSignal.timeout(waitSeconds * 1000);
    const answer = await client.pollDeviceAuthorizationGrant(provider, device, {}, { signal });
    if (answer.id_token === undefined) throw new LocalError("the identity provider named nobody");
    return { idToken: sensitive(answer.id_token), nonceSecret: sensitive(nonceSecret) };
  } catch (error) {
    throw toLocalError(error, issuer);
  }
}

function discover(issuer: string, clientId: string): Promise<client.Configuration> {
  return client.discovery(new URL(issuer), clientId, undefined, client.None(), {
    timeout: TIMEOUT_SECONDS,
    // Only for a provider on this machine, which is what the mark of deprecation wants to have said.
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- see above
    execute: LOCAL.test(`${issuer}/`) ? [client.allowInsecureRequests] : [],
  });
}

const WORDS: Readonly<Record<string, string>> = {
  access_denied: "the sign-in was refused in the browser",
  expired_token: "the code was not used in time",
};

/** Of what the provider writes nothing is shown but its code: it goes to a terminal. */
function toLocalError(error: unknown, issuer: string): unknown {
  if (error instanceof LocalError) return error;
  if (error instanceof client.ResponseBodyError) {
    const code = error.error.replaceAll(/[^\w.-]/g, "?").slice(0, 64);
    return new LocalError(WORDS[code] ?? `the identity provider answered ${code}`);
  }
  if (error instanceof Error && error.name === "TimeoutError")
    return new LocalError(WORDS["expired_token"] ?? "");
  return new LocalError(
    `cannot sign in at ${issuer} (${error instanceof Error ? reasonOf(error) : "unknown"})`,
    "Check that this machine reaches it; behind a private CA set NODE_EXTRA_CA_CERTS.",
  );
}

/** Errors of connections have their code in what caused them. */
function reasonOf(error: Error): string {
  const { cause } = error as { cause?: { code?: unknown } };
  const code = cause?.code ?? (error as { code?: unknown }).code;
  return typeof code === "string" ? code : error.name;
}
