import { type CommandSyntax } from "../command";
import { EXPECTED_VERSION, JSON_OUTPUT, KIND, LONG } from "./options";
import { RESOURCE_NAME, SECRET_NAME, WAITING } from "./options";

/** Secrets, developers and workspaces: what the catalog keeps. */
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
    path: ["secret", "import"],
    args: [{ name: "file", candidates: "file" }],
    options: [
      {
        flags: "--dry-run",
        description: "check everything, say what would become of it, write nothing",
      },
      JSON_OUTPUT,
    ],
    summary: "Write new versions of all secrets of an env file, or none",
    details: [
      "The file holds NAME=value lines: plain, in single quotes, or in double quotes with \\n and the like; - is standard input. What programs that read such files disagree on is refused, with the line.",
      "Running agents keep what they have until murmur rekey.",
    ],
    examples: ["murmur secret import --dry-run .env", "vault-export | murmur secret import -"],
    load: () => import("../commands/secret-import.js"),
  },
  {
    path: ["secret", "revoke"],
    args: [SECRET_NAME],
    options: [
      { flags: "--now", description: "confirms that agents that run lose it at once" },
      ...WAITING,
    ],
    summary: "Delete a secret and unset it in every agent that holds it, at once",
    details: [
      "Waits for the VMs as murmur rekey does. Given again, it goes on with those that still hold it.",
    ],
    examples: ["murmur secret revoke NPM_TOKEN --now"],
    load: () => import("../commands/secret-revoke.js"),
  },
  {
    path: ["secret", "destroy"],
    args: [{ name: "version", candidates: "secret" }],
    options: [
      {
        flags: "--force",
        description: "also when it is current or agents hold it; they get a new generation",
      },
      ...WAITING,
    ],
    summary: "Make one version of a secret, NAME@VERSION, unreadable for ever",
    details: [
      "Refused while it is the current version or an agent holds it. With --force the current version is deleted first, and its holders are rekeyed as by murmur secret revoke.",
    ],
    examples: ["murmur secret destroy NPM_TOKEN@3"],
    load: () => import("../commands/secret-destroy.js"),
  },
  {
    path: ["set"],
    args: [KIND, RESOURCE_NAME],
    options: [],
    summary: "Write a secret, a profile or a workspace from JSON or YAML on standard input",
    details: [
      "secret: name, plaintext_value (literal text), description, delivery (environment or file), expected_version.",
      "user-secret, named PROVIDER/USERNAME/NAME: the same; it goes to that developer's agents only.",
      "user, named PROVIDER/USERNAME: name, github_token_secret (the developer's secret that becomes GH_TOKEN), expected_revision.",
      "workspace: name, description, secret_refs (absent: all secrets, []: none), vms, expected_revision.",
    ],
    examples: [
      `echo '{"plaintext_value": "dd-abc123", "description": "metrics"}' | murmur set secret DATADOG_API_KEY`,
      `echo '{"plaintext_value": "ghp-abc123"}' | murmur set user-secret github/alice/GH_TOKEN`,
      `echo 'github_token_secret: GH_TOKEN' | murmur set user github/alice`,
      `echo 'secret_refs: [NPM_TOKEN]' | murmur set workspace backend`,
    ],
    load: () => import("../commands/set.js"),
  },
  {
    path: ["get"],
    args: [KIND, { ...RESOURCE_NAME, isOptional: true }],
    options: [LONG, JSON_OUTPUT],
    summary: "Show a secret, a profile or a workspace, or list them; never a value",
    examples: ["murmur get workspace backend", "murmur get user-secret -l"],
    load: () => import("../commands/get.js"),
  },
  {
    path: ["rm"],
    args: [KIND, RESOURCE_NAME],
    options: [],
    summary: "Delete a secret, a profile or a workspace",
    examples: ["murmur rm workspace backend", "murmur rm user-secret github/alice/GH_TOKEN"],
    load: () => import("../commands/rm.js"),
  },
];
