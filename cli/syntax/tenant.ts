import { type CommandSyntax } from "../command";
import { JSON_OUTPUT } from "./options";

/** The tenant as a whole. */
export const TENANT_COMMANDS: readonly CommandSyntax[] = [
  {
    path: ["encryption", "show"],
    args: [],
    options: [JSON_OUTPUT],
    summary: "Show how secrets are encrypted, and when their keys were wrapped again",
    examples: ["murmur encryption show"],
    load: () => import("../commands/encryption-show.js"),
  },
  {
    path: ["encryption", "rotate"],
    args: [],
    options: [
      {
        flags: "--rewrap-only",
        description: "make no newer key-encryption key: an operator has made one at Vault",
      },
      JSON_OUTPUT,
    ],
    summary: "Make a newer key-encryption key and wrap the data keys under it; owners only",
    details: [
      "Secrets are read and written meanwhile; no value is opened or changed. What breaks off is finished by itself, or by the same command.",
    ],
    examples: ["murmur encryption rotate"],
    load: () => import("../commands/encryption-rotate.js"),
  },
  {
    path: ["tenant", "delete"],
    args: [],
    options: [
      {
        flags: "--confirm <tenant>",
        description: "the tenant's name, where there is no terminal to type it on",
      },
      JSON_OUTPUT,
    ],
    summary: "Delete your tenant with all that it has, for good; owners only",
    details: [
      "When it answers, no credential of the tenant's counts any more, yours included. Its VMs have a minute to end its agents; then everything is removed, the keys of its secrets first. The audit stays, and the name is never free again.",
    ],
    examples: ["murmur tenant delete", "murmur tenant delete --confirm acme"],
    load: () => import("../commands/tenant-delete.js"),
  },
  {
    path: ["tenant", "deletion"],
    args: [{ name: "id" }],
    options: [JSON_OUTPUT],
    summary: "Show how far the deletion of a tenant is",
    details: ["By the id that murmur tenant delete printed; it takes no credential."],
    examples: ["murmur tenant deletion 0f5f39e4-4f4b-4b70-9a4c-7a2d6f0c5d1e"],
    load: () => import("../commands/tenant-deletion.js"),
  },
];
