import type { CredentialKind } from "../../../../lib/identity/credential-value";
import type { Role } from "../../../../lib/identity/principal";

/** As the database's clock has it. */
export type CredentialState = "active" | "in_grace" | "expired" | "revoked";

/** An API key, an agent token or a session, without its value. */
export interface Credential {
  tenantId: string;
  id: string;
  kind: CredentialKind;
  label: string;
  /** Of an agent token, else empty. */
  agentName: string;
  /** None: all that its role may. */
  scopes: readonly string[];
  /** The first characters of the value. */
  prefix: string;
  /** The developer whose it is. */
  owner: string;
  /** As it was made, but never more than its owner's is now. */
  role: Role;
  state: CredentialState;
  createdAt: Date;
  expiresAt: Date | undefined;
  revokedAt: Date | undefined;
  /** When it was last found valid, to within half a minute; undefined: never. */
  lastUsedAt: Date | undefined;
  replaces: string | undefined;
  replacedBy: string | undefined;
  /** Whose token it is, of an agent that registered. */
  registeredAgentId: string | undefined;
  /** Whether it is such a token, and was not used yet. */
  awaitsFirstUse: boolean;
  /** The tenant secret that carries it, as far as it is known. */
  secretName: string | undefined;
  /** Of a session: what it was made with, and when that ends by itself (undefined: never). */
  madeWith?: { apiKeyId: string | undefined; expiresAt: Date | undefined } | undefined;
  /** Of the tenant, in the order in which they were made. */
  sequence: bigint;
}

/** How a kind is called in sentences. */
export const KIND_WORDS: Record<CredentialKind, string> = {
  "api-key": "API key",
  "agent-token": "agent token",
  session: "session",
};
