import { type CommandSyntax } from "../command";
import { ROLE_WORDS } from "../people/role-words";
import { JSON_OUTPUT } from "./options";

const DEVELOPER = { name: "developer" };

/** Who belongs to the tenant. */
export const PEOPLE_COMMANDS: readonly CommandSyntax[] = [
  {
    path: ["people", "ls"],
    args: [],
    options: [JSON_OUTPUT],
    summary: "List who is in the tenant, and with which role",
    examples: ["murmur people ls"],
    load: () => import("../commands/people-ls.js"),
  },
  {
    path: ["people", "add"],
    args: [DEVELOPER],
    options: [
      {
        flags: "--role <role>",
        description: "member, admin or owner (default: member)",
        candidates: ROLE_WORDS,
      },
    ],
    summary: "Let a developer into the tenant; owners only",
    examples: ["murmur people add github/bob --role admin"],
    load: () => import("../commands/people-add.js"),
  },
  {
    path: ["people", "set-role"],
    args: [DEVELOPER, { name: "role", candidates: ROLE_WORDS }],
    options: [],
    summary: "Give a person another role; owners only",
    details: [
      "It counts at once, for the person's identity tokens and API keys, too.",
      "The last owner of a tenant stays one.",
    ],
    examples: ["murmur people set-role github/bob admin"],
    load: () => import("../commands/people-set-role.js"),
  },
  {
    path: ["people", "rm"],
    args: [DEVELOPER],
    options: [],
    summary: "Take a person out of the tenant and revoke their keys; owners only",
    details: ["Their agents live on, and are managed by admins."],
    examples: ["murmur people rm github/bob"],
    load: () => import("../commands/people-rm.js"),
  },
];
