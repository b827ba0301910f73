import {
  CredentialFault,
  CredentialKind,
  type VerifyCredentialResponse,
} from "../gen/murmur/rotation/v1/credentials";
import { Role as RoleMessage } from "../gen/murmur/rotation/v1/identity";
import type { Principal, Role } from "../lib/identity/principal";
import { RefusedCredential } from "../lib/identity/refused-credential";

const ROLES: Partial<Record<RoleMessage, Role>> = {
  [RoleMessage.ROLE_MEMBER]: "member",
  [RoleMessage.ROLE_ADMIN]: "admin",
  [RoleMessage.ROLE_OWNER]: "owner",
};

/** The role that rotation names; undefined for one that is newer than this service. */
export function toRole(message: RoleMessage): Role | undefined {
  return ROLES[message];
}

/** Who a credential is that was asked about, or that it is known and over; undefined: neither. */
export function toCaller(
  answer: VerifyCredentialResponse,
): Principal | RefusedCredential | undefined {
  return toPrincipal(answer) ?? toRefused(answer);
}

const FAULTS: Partial<Record<CredentialFault, RefusedCredential["why"]>> = {
  [CredentialFault.CREDENTIAL_FAULT_EXPIRED]: "expired",
  [CredentialFault.CREDENTIAL_FAULT_REVOKED]: "revoked",
};

function toRefused({
  fault,
  credential,
  tenantId,
}: VerifyCredentialResponse): RefusedCredential | undefined {
  const why = FAULTS[fault];
  if (!why || !credential || tenantId === "") return undefined;
  const { credentialId, kind, owner, agentName } = credential;
  const isToken = kind === CredentialKind.CREDENTIAL_KIND_AGENT_TOKEN;
  const who = isToken
    ? ({ kind: "agent", id: agentName } as const)
    : ({ kind: "developer", id: owner } as const);
  return new RefusedCredential({ tenantId, ...who, credentialId, why });
}

/** Who a verified credential is: its owner with their role and its scopes, or the agent that it names. */
export function toPrincipal({
  valid,
  credential,
  tenantId,
  sessionMaker,
}: VerifyCredentialResponse): Principal | undefined {
  if (!valid || !credential || tenantId === "") return undefined;
  const { credentialId: id, kind, owner, scopes, agentName, expiresAt } = credential;
  if (kind === CredentialKind.CREDENTIAL_KIND_AGENT_TOKEN)
    return { kind: "agent", tenantId, id: agentName, tokenId: id, owner };
  const role = toRole(credential.role);
  if (!role) return undefined;
  const person = { kind: "developer", tenantId, id: owner, role, expiresAt } as const;
  if (kind === CredentialKind.CREDENTIAL_KIND_API_KEY)
    return { ...person, firstIssuedAt: undefined, apiKey: { id, scopes } };
  // Whatever is newer than this service is nobody here.
  if (kind !== CredentialKind.CREDENTIAL_KIND_SESSION || !sessionMaker) return undefined;
  const { apiKeyId, expiresAt: makerExpiresAt } = sessionMaker;
  return {
    ...{ ...person, firstIssuedAt: undefined, session: { id, makerExpiresAt } },
    ...(apiKeyId !== "" && { apiKey: { id: apiKeyId, scopes } }),
  };
}
