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
];
