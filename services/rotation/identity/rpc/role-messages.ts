import { Role as RoleMessage } from "../../../../gen/murmur/rotation/v1/identity";
import type { Role } from "../../../../lib/identity/principal";

/** Roles as the contract shows them. */
export const ROLE_MESSAGES: Record<Role, RoleMessage> = {
  member: RoleMessage.ROLE_MEMBER,
  admin: RoleMessage.ROLE_ADMIN,
  owner: RoleMessage.ROLE_OWNER,
};
