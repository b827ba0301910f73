import { invalid } from "../../../lib/errors";
import { readCredentialValue } from "../../../lib/identity/credential-value";
import type { Db } from "../../../lib/postgres/db";
import type { Sensitive } from "../../../lib/sensitive";
import type { CredentialStore, FoundCredential } from "./store/credential-store";

export type CredentialFault = "unknown" | "expired" | "revoked";

export type Verdict = (FoundCredential & { fault?: "expired" | "revoked" }) | { fault: "unknown" };

export interface VerifyDeps {
  db: Db;
  credentials: CredentialStore;
}

const MAX_VALUES = 1000;

/**
 * What is known of values within a tenant, or in all (undefined), in their order: by one look at the
 * database, or not at all.
 */
export async function verifyCredentials(
  { db, credentials }: VerifyDeps,
  tenantId: string | undefined,
  values: readonly Sensitive<string>[],
): Promise<Verdict[]> {
  if (values.length === 0 || values.length > MAX_VALUES)
    throw invalid("values", `values must be 1 to ${MAX_VALUES}`);
  const hashes = values.map(readCredentialValue);
  const known = hashes.filter((hash) => hash !== undefined);
  const found =
    known.length === 0
      ? new Map<string, FoundCredential>()
      : await credentials.findByHash(db, tenantId, known);
  return hashes.map((hash) => verdictOn(hash && found.get(hash.toString("hex"))));
}

function verdictOn(found: FoundCredential | undefined): Verdict {
  if (!found) return { fault: "unknown" };
  const { state } = found.credential;
  return state === "expired" || state === "revoked" ? { ...found, fault: state } : found;
}
