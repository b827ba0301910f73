import { AUDITED } from "../audit/services";
import { type CommandSyntax, type OptionSyntax } from "../command";
import { JSON_OUTPUT } from "./options";

const SERVICE: OptionSyntax = {
  flags: "--service <name>",
  description: "of one service only: catalog or rotation",
  candidates: AUDITED,
};

/** Who did what, and whether it is still as it was written. */
export const AUDIT_COMMANDS: readonly CommandSyntax[] = [
  {
    path: ["audit", "ls"],
    args: [],
    options: [
      SERVICE,
      {
        flags: "--since <time>",
        description: "from then on: 2030-01-31T12:00:00Z, or before now: 30m, 24h, 30d",
      },
      { flags: "--until <time>", description: "before then" },
      {
        flags: "--actor <id>",
        description: "done by: github/alice, or by an API key with this id",
      },
      {
        flags: "--action <action>",
        description: "such as secret.set, or with a dot at its end all that begin so: secret.",
      },
      { flags: "--object <id>", description: "done to: a name or an id" },
      { flags: "--refused", description: "only what was refused" },
      {
        flags: "-n, --limit <count>",
        description: "how many, the newest first (default: 50; with --json all)",
      },
      JSON_OUTPUT,
    ],
    summary: "List who did what, when, from where, and how it ended",
    examples: [
      "murmur audit ls --since 24h --refused",
      "murmur audit ls --action secret. --object ANTHROPIC_API_KEY",
      "murmur audit ls --json > audit.json",
    ],
    load: () => import("../commands/audit-ls.js"),
  },
  {
    path: ["audit", "verify"],
    args: [],
    options: [
      SERVICE,
      {
        flags: "--key-set <file>",
        description: "trust these public keys, and not what the services say theirs are",
      },
      {
        flags: "--checkpoints <file>",
        description:
          "hold what there is against what was verified before, and keep the newest there",
      },
      JSON_OUTPUT,
    ],
    summary: "Check that no record was changed, removed, added or reordered",
    details: [
      "Every record is read and every hash and signature computed here: neither the services nor their database are trusted, only the keys. Exit status 1 names what is broken.",
      "With --checkpoints it is also found when the end of a chain was removed together with its signatures. Keep that file where the database's administrators cannot write.",
    ],
    examples: ["murmur audit verify --key-set key-set.json --checkpoints checkpoints.json"],
    load: () => import("../commands/audit-verify.js"),
  },
];
