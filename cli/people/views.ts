import { Role, roleToJSON } from "../../gen/murmur/rotation/v1/identity";
import { type Person } from "../../gen/murmur/rotation/v1/people";
import { UsageError } from "../errors";
import { relativeTime } from "../output/relative-time";
import { table } from "../output/table";
import { ROLE_WORDS } from "./role-words";

const ROLES: readonly Role[] = [Role.ROLE_MEMBER, Role.ROLE_ADMIN, Role.ROLE_OWNER];

/** The role that was typed; `what` is where. Throws UsageError. */
export function parseRole(what: string, text: string): Role {
  const role = ROLES.find((known) => roleWord(known) === text);
  if (role === undefined) throw new UsageError(`${what} must be one of ${ROLE_WORDS.join(", ")}`);
  return role;
}

/** `member`, `admin`, `owner`. */
export function roleWord(role: Role): string {
  return roleToJSON(role).replace("ROLE_", "").toLowerCase();
}

/** One line each. */
export function peopleTable(
  people: readonly Person[],
  { now, bold }: { now: Date; bold: (text: string) => string },
): string[] {
  return table(
    people,
    [
      { title: "DEVELOPER", text: (it) => it.developer },
      { title: "ROLE", text: (it) => roleWord(it.role) },
      { title: "ADDED", text: (it) => relativeTime(it.addedAt, now) },
      { title: "BY", text: (it) => it.addedBy || "an operator" },
    ],
    bold,
  );
}

/** For machines. */
export function personToJson({ developer, role, addedAt, addedBy }: Person) {
  return {
    ...{ developer, role: roleWord(role) },
    ...{ added_at: addedAt, added_by: addedBy || undefined },
  };
}
