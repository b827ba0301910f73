import { invalid } from "../../../lib/errors";
import { hashText, readCredentialValue } from "../../../lib/identity/credential-value";
import type { Sensitive } from "../../../lib/sensitive";
import type { Credential } from "./domain/credential";
import type { FoundCredential } from "./store/credential-store";
import type { CredentialLookup } from "./verification/credential-lookup";
import type { CredentialUses } from "./verification/credential-uses";

export type CredentialFault = "unknown" | "expired" | "revoked";

export type Verdict = (FoundCredential & { fault?: "expired" | "revoked" }) | { fault: "unknown" };

export interface VerifyDeps {
  lookup: CredentialLookup;
  uses: Pick<CredentialUses, "note" | "join">;
  tokenUses: TokenUses;
}

/** What has to be known of the uses of registered agents' tokens. */
export interface TokenUses {
  /** Of one that was not used before; it is looked at again after. */
  first(token: Credential): Promise<void>;
  /** Of one that had been rotated away. */
  ofRotatedAway(token: Credential): void;
}

const MAX_VALUES = 1000;

/**
 * What is known of values within a tenant, or in all (undefined), in their order: by one look, or not at
 * all.
 */
export async function verifyCredentials(
  { lookup, uses, tokenUses }: VerifyDeps,
  tenantId: string | undefined,
  values: readonly Sensitive<string>[],
): Promise<Verdict[]> {
  if (values.length === 0 || values.length > MAX_VALUES)
    throw invalid("values", `values must be 1 to ${MAX_VALUES}`);
  const joining = uses.join();
  if (joining) await joining;
  const recalled = lookup.recall(tenantId, values.map(hashText));
  if (recalled) return recalled.map((verdict) => noted(uses, verdict));
  const hashes = values.map(readCredentialValue);
  const known = hashes.filter((hash) => hash !== undefined);
  const find = async () =>
    known.length === 0 ? new Map<string, FoundCredential>() : await lookup.find(tenantId, known);
  let found = await find();
  const firsts = [...found.values()].map(({ credential }) => credential).filter(isFirstUse);
  // Each waits for the lease: together, as many may be presented at once.
  await Promise.all(firsts.map((token) => tokenUses.first(token)));
  if (firsts.length > 0) found = await find();
  for (const { credential } of found.values())
    if (isRotatedAway(credential)) tokenUses.ofRotatedAway(credential);
  return hashes.map((hash) => noted(uses, verdictOn(hash && found.get(hash.toString("base64")))));
}

function noted(uses: VerifyDeps["uses"], verdict: Verdict): Verdict {
  if (!verdict.fault) uses.note(verdict.credential);
  return verdict;
}

function isFirstUse({ awaitsFirstUse, state }: Credential): boolean {
  return awaitsFirstUse && (state === "active" || state === "in_grace");
}

function isRotatedAway({ registeredAgentId, replacedBy, state }: Credential): boolean {
  const hasEnded = state === "revoked" || state === "expired";
  return registeredAgentId !== undefined && replacedBy !== undefined && hasEnded;
}

function verdictOn(found: FoundCredential | undefined): Verdict {
  if (!found) return { fault: "unknown" };
  const { state } = found.credential;
  return state === "expired" || state === "revoked" ? { ...found, fault: state } : found;
}
