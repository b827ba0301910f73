import { type CommandSyntax } from "../command";
import { EXPECTED_VERSION, JSON_OUTPUT, KIND, LONG, SECRET_NAME } from "./options";

/** Secrets and workspaces: what the catalog keeps. */
export const SECRET_COMMANDS: readonly CommandSyntax[] = [
  {
    path: ["secret", "set"],
    args: [SECRET_NAME],
    options: [
      { flags: "--description <text>", description: "what it is for; empty clears it" },
      { flags: "--as-file", description: "deliver it as a file, its path in NAME_FILE" },
      { flags: "--as-env", description: "deliver it as a variable again" },
      EXPECTED_VERSION,
    ],
    summary: "Write a new version of a secret",
    details: [
      "The value comes from standard input, less one newline at its end, or from a hidden prompt.",
      "Running agents keep what they have until murmur rekey.",
    ],
    examples: [
      'echo "sk-ant-abc123" | murmur secret set ANTHROPIC_API_KEY',
      "murmur secret set TLS_KEY --as-file < key.pem",
    ],
    load: () => import("../commands/secret-set.js"),
  },
  {
    path: ["secret", "ls"],
    args: [],
    options: [LONG, JSON_OUTPUT],
    summary: "List secrets by name, never their values",
    examples: ["murmur secret ls -l"],
    load: () => import("../commands/secret-ls.js"),
  },
  {
    path: ["secret", "rm"],
    args: [SECRET_NAME],
    options: [EXPECTED_VERSION],
    summary: "Delete a secret; running agents keep it until murmur rekey",
    examples: ["murmur secret rm NPM_TOKEN"],
    load: () => import("../commands/secret-rm.js"),
  },
  {
    path: ["secret", "history"],
    args: [SECRET_NAME],
    options: [JSON_OUTPUT],
    summary: "Show who wrote which version of a secret, and when",
    examples: ["murmur secret history NPM_TOKEN"],
    load: () => import("../commands/secret-history.js"),
  },
  {
    path: ["set"],
    args: [KIND, { name: "name" }],
    options: [],
    summary: "Write a secret or a workspace from JSON or YAML on standard input",
    details: [
      "secret: name, plaintext_value (literal text), description, delivery (environment or file), expected_version.",
      "workspace: name, description, secret_refs (absent: all secrets, []: none), vms, expected_revision.",
    ],
    examples: [
      `echo '{"plaintext_value": "dd-abc123", "description": "metrics"}' | murmur set secret DATADOG_API_KEY`,
      `echo 'secret_refs: [NPM_TOKEN]' | murmur set workspace backend`,
    ],
    load: () => import("../commands/set.js"),
  },
  {
    path: ["get"],
    args: [KIND, { name: "name", isOptional: true }],
    options: [LONG, JSON_OUTPUT],
    summary: "Show a secret or a workspace, or list them; never a value",
    examples: ["murmur get workspace backend"],
    load: () => import("../commands/get.js"),
  },
  {
    path: ["rm"],
    args: [KIND, { name: "name" }],
    options: [],
    summary: "Delete a secret or a workspace",
    examples: ["murmur rm workspace backend"],
    load: () => import("../commands/rm.js"),
  },
];
