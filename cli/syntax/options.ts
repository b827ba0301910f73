import { type ArgumentSyntax, type OptionSyntax } from "../command";

/** Options that several commands share. */
export const WORKSPACE: OptionSyntax = {
  flags: "--workspace <name>",
  description: "the workspace, instead of the one in murmur.local.yaml or murmur.yaml",
  candidates: "workspace",
};
export const JSON_OUTPUT: OptionSyntax = { flags: "--json", description: "print JSON" };
export const LONG: OptionSyntax = { flags: "-l, --long", description: "show all that is kept" };
export const EXPECTED_VERSION: OptionSyntax = {
  flags: "--expected-version <n>",
  description: "refuse unless this is the current version (0: it does not exist)",
};
/** Of commands that start a rollout. */
export const WAIT: OptionSyntax = {
  flags: "--wait <for>",
  description:
    "files: until every VM has swapped its env files (default: files); processes: until every process follows and every hook has ended, too",
  candidates: ["files", "processes"],
};
/** Of commands that rekey the holders of a secret. */
export const WAITING: readonly OptionSyntax[] = [
  { flags: "--timeout <duration>", description: "how long to wait for the VMs (default: 30s)" },
  WAIT,
  { flags: "--no-wait", description: "return as soon as the rollout is durable" },
  { flags: "--reason <text>", description: "kept with the rollout" },
  JSON_OUTPUT,
];

export const SLUG: ArgumentSyntax = { name: "slug", candidates: "agent" };
export const SECRET_NAME: ArgumentSyntax = { name: "name", candidates: "secret" };
export const VM_NAME: ArgumentSyntax = { name: "name", candidates: "vm" };
/** What `set`, `get` and `rm` know. */
export const KINDS = ["secret", "user-secret", "user", "workspace"] as const;
export const KIND: ArgumentSyntax = { name: "kind", candidates: KINDS };
/** What there is of the kind before it. */
export const RESOURCE_NAME: ArgumentSyntax = { name: "name", candidates: "resource" };
