import { Role as RoleMessage } from "../../../../gen/murmur/rotation/v1/identity";
import { invalid } from "../../../../lib/errors";
import { ROLES, type Role } from "../../../../lib/identity/principal";

/** Roles as the contract shows them. */
export const ROLE_MESSAGES: Record<Role, RoleMessage> = {
  member: RoleMessage.ROLE_MEMBER,
  admin: RoleMessage.ROLE_ADMIN,
  owner: RoleMessage.ROLE_OWNER,
};

/** The role that a request names; throws INVALID_ARGUMENT for none and for one that is not known. */
export function readRole(message: RoleMessage): Role {
  const role = ROLES.find((known) => ROLE_MESSAGES[known] === message);
  if (role) return role;
  throw invalid("role", "role must be ROLE_MEMBER, ROLE_ADMIN or ROLE_OWNER");
}
