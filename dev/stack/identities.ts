import { readFileSync } from "node:fs";
import { join } from "node:path";
import { issueDeveloperToken } from "../../lib/identity/claims";
import {
  generateSigningKey,
  parseSigningKey,
  publicJwkOf,
  signingKeyToJwk,
  type SigningKey,
} from "../../lib/identity/signing-key";
import { sensitive } from "../../lib/sensitive";
import { createPrivate, writePrivate } from "./private-file";

/** Keys of the stack's services, and the developer who may do all. */
export interface Identities {
  rotationKeyFile: string;
  catalogKeyFile: string;
  gatewayKeyFile: string;
  keySetFile: string;
  keyringFile: string;
  tenant: string;
  developer: string;
  issueToken(): Promise<string>;
}

const TENANT = "local";
const DEVELOPER = "local/developer";
const TOKEN_TTL_SECONDS = 30 * 24 * 3600;

/** Makes the keys that are missing below a directory, and keeps those that are there. */
export function makeIdentities(directory: string): Identities {
  const rotationKeyFile = join(directory, "rotation-signing-key.json");
  const catalogKeyFile = join(directory, "catalog-signing-key.json");
  const gatewayKeyFile = join(directory, "gateway-signing-key.json");
  const rotation = keep(rotationKeyFile, "murmur-rotation");
  const catalog = keep(catalogKeyFile, "murmur-catalog");
  const gateway = keep(gatewayKeyFile, "murmur-gateway");
  const keys = [rotation, catalog, gateway].map(publicJwkOf);
  const keySetFile = writePrivate(join(directory, "key-set.json"), JSON.stringify({ keys }));
  return {
    rotationKeyFile,
    catalogKeyFile,
    gatewayKeyFile,
    keySetFile,
    keyringFile: join(directory, "keyring.json"),
    tenant: TENANT,
    developer: DEVELOPER,
    issueToken: () =>
      issueDeveloperToken(rotation, {
        tenantId: TENANT,
        developer: DEVELOPER,
        role: "owner",
        ttlSeconds: TOKEN_TTL_SECONDS,
      }),
  };
}

function keep(file: string, issuer: string): SigningKey {
  createPrivate(file, () => signingKeyToJwk(generateSigningKey(issuer)).expose());
  return parseSigningKey(sensitive(readFileSync(file, "utf8")));
}
