import {
  CredentialKind,
  type VerifyCredentialResponse,
} from "../gen/murmur/rotation/v1/credentials";
import { Role as RoleMessage } from "../gen/murmur/rotation/v1/identity";
import type { Principal, Role } from "../lib/identity/principal";

const ROLES: Partial<Record<RoleMessage, Role>> = {
  [RoleMessage.ROLE_MEMBER]: "member",
  [RoleMessage.ROLE_ADMIN]: "admin",
  [RoleMessage.ROLE_OWNER]: "owner",
};

/** The role that rotation names; undefined for one that is newer than this service. */
export function toRole(message: RoleMessage): Role | undefined {
  return ROLES[message];
}

/** Who a verified credential is: its owner with its role and scopes, or the agent that it names. */
export function toPrincipal({
  valid,
  credential,
  tenantId,
}: VerifyCredentialResponse): Principal | undefined {
  if (!valid || !credential || tenantId === "") return undefined;
  const { credentialId: id, kind, owner, scopes, agentName, expiresAt } = credential;
  if (kind === CredentialKind.CREDENTIAL_KIND_AGENT_TOKEN)
    return { kind: "agent", tenantId, id: agentName, tokenId: id, owner };
  const role = toRole(credential.role);
  // Whatever is newer than this service is nobody here.
  if (kind !== CredentialKind.CREDENTIAL_KIND_API_KEY || !role) return undefined;
  return {
    ...{ kind: "developer", tenantId, id: owner, role },
    ...{ firstIssuedAt: undefined, expiresAt, apiKey: { id, scopes } },
  };
}
