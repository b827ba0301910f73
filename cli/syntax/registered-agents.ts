import { type ArgumentSyntax, type CommandSyntax, type OptionSyntax } from "../command";
import { JSON_OUTPUT } from "./options";

const EXAMPLE_ID = "3d9f6c1e-52a4-4f0e-9a37-6c1b8e2f7d40";
const OWN_NAME: ArgumentSyntax = {
  name: "name",
  isOptional: true,
  candidates: "registered-agent",
};
/** Its name or its id. */
const AGENT: ArgumentSyntax = { name: "agent", candidates: "registered-agent" };
const AGENT_ID: OptionSyntax = {
  flags: "--agent-id <id>",
  description: "the agent by its id, in place of its name",
};
const WHICH =
  "Without a name it is your only unnamed agent. The key is asked for without being shown, and hashed here: it never leaves this machine.";

/** Registered agents and the provider keys that they are bound to. */
export const REGISTERED_AGENT_COMMANDS: readonly CommandSyntax[] = [
  {
    path: ["agents", "ls"],
    args: [],
    options: [
      { flags: "--unclaimed", description: "those that nobody has claimed" },
      { flags: "--everybody", description: "all of the tenant (admins and owners)" },
      { flags: "-a, --all", description: "those that are deactivated, too" },
      JSON_OUTPUT,
    ],
    summary: "List your registered agents",
    examples: ["murmur agents ls", "murmur agents ls --unclaimed"],
    load: () => import("../commands/agents-ls.js"),
  },
  {
    path: ["agents", "show"],
    args: [AGENT],
    options: [JSON_OUTPUT],
    summary: "Show a registered agent, by its name or id",
    examples: ["murmur agents show my-coder"],
    load: () => import("../commands/agents-show.js"),
  },
  {
    path: ["agents", "rebind"],
    args: [OWN_NAME],
    options: [AGENT_ID, JSON_OUTPUT],
    summary: "Bind your agent to a new provider key",
    details: [`${WHICH} MURMUR_NEW_KEY holds it where nobody can be asked.`],
    examples: ["murmur agents rebind my-coder", `murmur agents rebind --agent-id ${EXAMPLE_ID}`],
    load: () => import("../commands/agents-rebind.js"),
  },
  {
    path: ["agents", "check-binding"],
    args: [OWN_NAME],
    options: [AGENT_ID, JSON_OUTPUT],
    summary:
      "Say whether a provider key is the one that your agent is bound to; exit status 1 if not",
    details: [`${WHICH} MURMUR_CHECK_KEY holds it where nobody can be asked.`],
    examples: ["murmur agents check-binding my-coder"],
    load: () => import("../commands/agents-check-binding.js"),
  },
  {
    path: ["agents", "claim"],
    args: [{ name: "id" }],
    options: [JSON_OUTPUT],
    summary: "Make an unclaimed agent yours, by its provider key",
    details: [
      "The key is asked for without being shown, and hashed here. MURMUR_CHECK_KEY holds it where nobody can be asked.",
    ],
    examples: [`murmur agents claim ${EXAMPLE_ID}`],
    load: () => import("../commands/agents-claim.js"),
  },
  {
    path: ["agents", "deactivate"],
    args: [AGENT],
    options: [JSON_OUTPUT],
    summary: "Free the provider key of an agent; what is recorded under its id stays",
    details: [
      "One of yours, by its name or id; or an unclaimed one without history, by its id and its key, which is asked for as in claim.",
    ],
    examples: [`murmur agents deactivate ${EXAMPLE_ID}`],
    load: () => import("../commands/agents-deactivate.js"),
  },
];
