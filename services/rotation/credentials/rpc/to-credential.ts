import {
  type Credential as CredentialMessage,
  CredentialFault as FaultMessage,
  CredentialKind as KindMessage,
  CredentialState as StateMessage,
  type VerifyCredentialResponse,
} from "../../../../gen/murmur/rotation/v1/credentials";
import type { SessionMaker } from "../../../../gen/murmur/rotation/v1/sessions";
import { invalid } from "../../../../lib/errors";
import { ROLE_MESSAGES } from "../../identity/rpc/role-messages";
import type { CredentialKind } from "../../../../lib/identity/credential-value";
import type { Credential, CredentialState } from "../domain/credential";
import type { EvidenceCase } from "../evidence/domain/evidence-case";
import { toEvidence } from "../evidence/rpc/to-evidence";
import type { CredentialFault, Verdict } from "../verify-credentials";

const KINDS: Record<CredentialKind, KindMessage> = {
  "api-key": KindMessage.CREDENTIAL_KIND_API_KEY,
  "agent-token": KindMessage.CREDENTIAL_KIND_AGENT_TOKEN,
  session: KindMessage.CREDENTIAL_KIND_SESSION,
};
const STATES: Record<CredentialState, StateMessage> = {
  active: StateMessage.CREDENTIAL_STATE_ACTIVE,
  in_grace: StateMessage.CREDENTIAL_STATE_IN_GRACE,
  expired: StateMessage.CREDENTIAL_STATE_EXPIRED,
  revoked: StateMessage.CREDENTIAL_STATE_REVOKED,
};
const FAULTS: Record<CredentialFault, FaultMessage> = {
  unknown: FaultMessage.CREDENTIAL_FAULT_UNKNOWN,
  expired: FaultMessage.CREDENTIAL_FAULT_EXPIRED,
  revoked: FaultMessage.CREDENTIAL_FAULT_REVOKED,
};

/** A credential as the contract shows it. */
export function toCredential(credential: Credential, evidence?: EvidenceCase): CredentialMessage {
  return {
    credentialId: credential.id,
    kind: KINDS[credential.kind],
    label: credential.label,
    agentName: credential.agentName,
    scopes: [...credential.scopes],
    prefix: credential.prefix,
    owner: credential.owner,
    role: ROLE_MESSAGES[credential.role],
    state: STATES[credential.state],
    createdAt: credential.createdAt,
    expiresAt: credential.expiresAt,
    revokedAt: credential.revokedAt,
    lastUsedAt: credential.lastUsedAt,
    replacedBy: credential.replacedBy ?? "",
    replaces: credential.replaces ?? "",
    ...(credential.secretName !== undefined && { secretName: credential.secretName }),
    evidence: evidence && toEvidence(evidence),
  };
}

/** The kind that a request names; undefined when it names none. Sessions are made and listed elsewhere. */
export function readKind(kind: KindMessage): Exclude<CredentialKind, "session"> | undefined {
  if (kind === KindMessage.CREDENTIAL_KIND_UNSPECIFIED) return undefined;
  for (const known of ["api-key", "agent-token"] as const) if (KINDS[known] === kind) return known;
  throw invalid("kind", "kind must be CREDENTIAL_KIND_API_KEY or CREDENTIAL_KIND_AGENT_TOKEN");
}

/** What is known of a value, as the contract shows it. */
export function toVerdict(verdict: Verdict): VerifyCredentialResponse {
  const found = "credential" in verdict ? verdict : undefined;
  const fault = verdict.fault && FAULTS[verdict.fault];
  return {
    valid: fault === undefined,
    fault: fault ?? FaultMessage.CREDENTIAL_FAULT_UNSPECIFIED,
    credential: found && toCredential(found.credential),
    tenantId: found?.credential.tenantId ?? "",
    validForMs: leftMs(verdict),
    sessionMaker: found?.credential.madeWith && toMaker(found.credential.madeWith),
  };
}

function toMaker({ apiKeyId, expiresAt }: NonNullable<Credential["madeWith"]>): SessionMaker {
  return { apiKeyId: apiKeyId ?? "", expiresAt };
}

/** For how many whole milliseconds it is valid; undefined: it is not, or has no end. */
export function leftMs(verdict: Verdict): bigint | undefined {
  if (verdict.fault || verdict.validForMs === undefined) return undefined;
  return BigInt(Math.max(0, Math.floor(verdict.validForMs)));
}
