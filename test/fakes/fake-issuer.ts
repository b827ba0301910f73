import { generateKeyPairSync, type KeyObject, randomUUID } from "node:crypto";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { SignJWT } from "jose";

interface IssuerKey {
  kid: string;
  privateKey: KeyObject;
  publicKey: KeyObject;
}

/** An OpenID provider of which nothing is there but its documents and its keys: it says what it is told. */
export interface FakeIssuer {
  /** `http://127.0.0.1:…` */
  issuer: string;
  /** How often its keys were fetched. */
  readonly fetches: number;
  /** What it answers instead; undefined: as it should. */
  answer: ((path: string, response: ServerResponse) => void) | undefined;
  /** An ID token for the client `murmur-cli` of `alice@example.com`, with these claims changed. */
  idToken(
    change?: Record<string, unknown>,
    by?: { alg?: string; key?: IssuerKey },
  ): Promise<string>;
  /** Goes on with another key; earlier ones are in the set no more. */
  roll(): void;
  stop(): Promise<void>;
}

/** Starts it on this machine. */
export async function startFakeIssuer(): Promise<FakeIssuer> {
  let key = makeKey();
  let fetches = 0;
  const server = createServer((request, response) => {
    const path = request.url ?? "";
    if (path.endsWith("/keys")) fetches++;
    if (fake.answer) {
      fake.answer(path, response);
      return;
    }
    const { issuer } = fake;
    const jwk = { ...key.publicKey.export({ format: "jwk" }), kid: key.kid, use: "sig" };
    const document = path.endsWith("/keys")
      ? { keys: [jwk] }
      : { issuer, jwks_uri: `${issuer}/keys` };
    response.end(JSON.stringify(document));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const fake: FakeIssuer = {
    issuer: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get fetches() {
      return fetches;
    },
    answer: undefined,
    idToken(change = {}, { alg = "ES256", key: by = key } = {}) {
      const nowSeconds = Math.floor(Date.now() / 1000);
      const claims = {
        ...{ iss: fake.issuer, aud: "murmur-cli", sub: "subject-of-alice", jti: randomUUID() },
        ...{ iat: nowSeconds, exp: nowSeconds + 300 },
        ...{ email: "alice@example.com", email_verified: true },
        ...change,
      };
      return new SignJWT(claims).setProtectedHeader({ alg, kid: by.kid }).sign(by.privateKey);
    },
    roll: () => {
      key = makeKey();
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
  return fake;
}

function makeKey(): IssuerKey {
  return { kid: randomUUID(), ...generateKeyPairSync("ec", { namedCurve: "P-256" }) };
}
