import { type Credential, CredentialState } from "../../gen/murmur/rotation/v1/credentials";
import { relativeTime } from "../output/relative-time";
import { table } from "../output/table";
import { roleWord } from "../people/views";
import { evidenceToJson } from "./evidence";

const STATES: Partial<Record<CredentialState, string>> = {
  [CredentialState.CREDENTIAL_STATE_ACTIVE]: "active",
  [CredentialState.CREDENTIAL_STATE_IN_GRACE]: "in grace",
  [CredentialState.CREDENTIAL_STATE_EXPIRED]: "expired",
  [CredentialState.CREDENTIAL_STATE_REVOKED]: "revoked",
};

/** `active`, `in grace`, `expired`, `revoked`. */
export function stateWord({ state }: Credential): string {
  return STATES[state] ?? "unknown";
}

/** When a credential ends: `in 3 days`, `never`. */
export function endWords({ expiresAt, revokedAt }: Credential, now: Date): string {
  const ends = [revokedAt, expiresAt].filter((time) => time !== undefined);
  const [end] = ends.sort((a, b) => a.getTime() - b.getTime());
  return end ? relativeTime(end, now) : "never";
}

/** When a credential was last found valid: `2 hours ago`, `never`. */
export function useWords({ lastUsedAt }: Credential, now: Date): string {
  return lastUsedAt ? relativeTime(lastUsedAt, now) : "never";
}

/** One line each; `name` heads the column of labels, or of agents. */
export function credentialTable(
  credentials: readonly Credential[],
  { now, bold, isTokens }: { now: Date; bold: (text: string) => string; isTokens: boolean },
): string[] {
  const agent = { title: "AGENT", text: (it: Credential) => it.agentName };
  return table(
    credentials,
    [
      { title: "ID", text: (it) => it.credentialId },
      ...(isTokens ? [agent] : []),
      { title: "LABEL", text: (it) => it.label || "-" },
      { title: "VALUE", text: (it) => `${it.prefix}…` },
      { title: "STATE", text: stateWord },
      { title: "ENDS", text: (it) => endWords(it, now) },
      { title: "LAST USED", text: (it) => useWords(it, now) },
      { title: "OWNER", text: (it) => it.owner },
    ],
    bold,
  );
}

/** For machines; never a value. */
export function credentialToJson(credential: Credential) {
  return {
    id: credential.credentialId,
    label: credential.label,
    agent_name: credential.agentName || undefined,
    scopes: credential.scopes,
    prefix: credential.prefix,
    owner: credential.owner,
    role: roleWord(credential.role),
    state: stateWord(credential),
    created_at: credential.createdAt,
    expires_at: credential.expiresAt,
    revoked_at: credential.revokedAt,
    last_used_at: credential.lastUsedAt,
    replaces: credential.replaces || undefined,
    replaced_by: credential.replacedBy || undefined,
    secret: credential.secretName,
    evidence: credential.evidence && evidenceToJson(credential.evidence),
  };
}
