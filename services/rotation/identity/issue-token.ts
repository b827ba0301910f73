import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { issueDeveloperToken } from "../../../lib/identity/claims";
import { isDeveloperName } from "../../../lib/identity/developer-name";
import { ROLES, type Role } from "../../../lib/identity/principal";
import { parseSigningKey } from "../../../lib/identity/signing-key";
import { sensitive } from "../../../lib/sensitive";

const USAGE =
  "usage: issue-token --key-file FILE --tenant TENANT --developer PROVIDER/NAME [--role member|admin|owner] [--ttl 24h]";
const TTL = /^(\d{1,6})(m|h|d)$/;
const UNIT_SECONDS = { m: 60, h: 3_600, d: 86_400 } as const;
const MAX_TTL_SECONDS = 90 * 86_400;

/**
 * Issues a developer's first identity token with rotation's signing key: an operator's command, run
 * where the key is. Throws an Error that says what is wrong with the arguments.
 */
export async function issueToken(args: string[]): Promise<string> {
  const { values } = parseArgs({
    args,
    options: {
      "key-file": { type: "string" },
      tenant: { type: "string" },
      developer: { type: "string" },
      role: { type: "string", default: "owner" },
      ttl: { type: "string", default: "24h" },
    },
  });
  const { "key-file": keyFile, tenant, developer } = values;
  if (!keyFile || !tenant || !developer) throw new Error(USAGE);
  if (!isDeveloperName(developer)) throw new Error("--developer must be PROVIDER/NAME");
  const key = parseSigningKey(sensitive(readFileSync(keyFile, "utf8")));
  return issueDeveloperToken(key, {
    tenantId: tenant,
    developer,
    role: parseRole(values.role),
    ttlSeconds: parseTtl(values.ttl),
  });
}

function parseRole(text: string): Role {
  const role = ROLES.find((known) => known === text);
  if (!role) throw new Error(`--role must be one of ${ROLES.join(", ")}`);
  return role;
}

function parseTtl(text: string): number {
  const match = TTL.exec(text);
  const seconds = match ? Number(match[1]) * UNIT_SECONDS[match[2] as "m" | "h" | "d"] : 0;
  if (seconds < 1 || seconds > MAX_TTL_SECONDS)
    throw new Error("--ttl must be a duration such as 30m, 24h or 30d, at most 90d");
  return seconds;
}
