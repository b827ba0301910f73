import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import {
  issueDeveloperToken,
  issueOperatorToken,
  OPERATOR_TTL_SECONDS,
} from "../../../lib/identity/claims";
import { isDeveloperName } from "../../../lib/identity/developer-name";
import { ROLES, type Role } from "../../../lib/identity/principal";
import { parseSigningKey, type SigningKey } from "../../../lib/identity/signing-key";
import { sensitive } from "../../../lib/sensitive";

const USAGE =
  "usage: issue-token --key-file FILE --tenant TENANT --developer PROVIDER/NAME [--role member|admin|owner] [--ttl 24h]\n" +
  "       issue-token --key-file FILE --operator PROVIDER/NAME [--ttl 1h]";
const TTL = /^(\d{1,6})(m|h|d)$/;
const UNIT_SECONDS = { m: 60, h: 3_600, d: 86_400 } as const;
const MAX_TTL_SECONDS = 90 * 86_400;

/**
 * Issues a developer's first identity token, or an operator's own, with rotation's signing key: an operator's
 * command, run where the key is. Throws an Error that says what is wrong with the arguments.
 */
export async function issueToken(args: string[]): Promise<string> {
  const { values } = parseArgs({
    args,
    options: {
      "key-file": { type: "string" },
      tenant: { type: "string" },
      developer: { type: "string" },
      operator: { type: "string" },
      role: { type: "string" },
      ttl: { type: "string" },
    },
  });
  const { "key-file": keyFile, tenant, developer, operator, role, ttl } = values;
  if (!keyFile) throw new Error(USAGE);
  if (operator !== undefined) {
    if ([tenant, developer, role].some((it) => it !== undefined)) throw new Error(USAGE);
    if (!isDeveloperName(operator)) throw new Error("--operator must be PROVIDER/NAME");
    const ttlSeconds = parseTtl(ttl ?? "1h", { max: "12h", maxSeconds: OPERATOR_TTL_SECONDS });
    return issueOperatorToken(readKey(keyFile), { operator, ttlSeconds });
  }
  if (!tenant || !developer) throw new Error(USAGE);
  if (!isDeveloperName(developer)) throw new Error("--developer must be PROVIDER/NAME");
  return issueDeveloperToken(readKey(keyFile), {
    tenantId: tenant,
    developer,
    role: parseRole(role ?? "owner"),
    ttlSeconds: parseTtl(ttl ?? "24h", { max: "90d", maxSeconds: MAX_TTL_SECONDS }),
  });
}

function readKey(file: string): SigningKey {
  return parseSigningKey(sensitive(readFileSync(file, "utf8")));
}

function parseRole(text: string): Role {
  const role = ROLES.find((known) => known === text);
  if (!role) throw new Error(`--role must be one of ${ROLES.join(", ")}`);
  return role;
}

function parseTtl(text: string, { max, maxSeconds }: { max: string; maxSeconds: number }): number {
  const match = TTL.exec(text);
  const seconds = match ? Number(match[1]) * UNIT_SECONDS[match[2] as "m" | "h" | "d"] : 0;
  if (seconds < 1 || seconds > maxSeconds)
    throw new Error(`--ttl must be a duration such as 30m, 24h or 30d, at most ${max}`);
  return seconds;
}
