import { type CommandSyntax } from "../command";
import { JSON_OUTPUT, WORKSPACE } from "./options";

const NAME = { name: "name" };

/** Agents that registered, and rotate their own key. */
export const SELF_ROTATION_COMMANDS: readonly CommandSyntax[] = [
  {
    path: ["agents", "invite"],
    args: [],
    options: [JSON_OUTPUT],
    summary: "Make an invitation with which one agent may register, within 10 minutes",
    details: [
      "The agent sends it as the bearer of POST /v1/auth/agent-register, or to RegisterAgent. It is no join token of a VM.",
    ],
    examples: ["murmur agents invite"],
    load: () => import("../commands/agents-invite.js"),
  },
  {
    path: ["agents", "register"],
    args: [{ name: "name", isOptional: true }],
    options: [JSON_OUTPUT],
    summary: "Register an agent and show its key and rotation secret once; for admins",
    examples: ["murmur agents register my-coder > my-coder.env"],
    load: () => import("../commands/agents-register.js"),
  },
  {
    path: ["agents", "auto-rotate"],
    args: [NAME],
    options: [
      { flags: "--every <period>", description: "how often, such as 24h or 7d: from 15m to 90d" },
      { flags: "--off", description: "not any more" },
      {
        flags: "--agent <slug>",
        description: "the running agent, where its slug is not the registered name",
        candidates: "agent",
      },
      WORKSPACE,
      {
        flags: "--key-name <name>",
        description: "the agent's secret that gets the key (default: AGENT_API_KEY)",
      },
      {
        flags: "--secret-name <name>",
        description: "the one that gets the rotation secret (default: AGENT_ROTATION_SECRET)",
      },
      JSON_OUTPUT,
    ],
    summary: "Let the VM of a running agent rotate for it, and swap the new values in",
    details: [
      "The running agent has to be yours. The old key stays valid until the new one is first used, 24 hours at most.",
    ],
    examples: ["murmur agents auto-rotate my-coder --every 24h"],
    load: () => import("../commands/agents-auto-rotate.js"),
  },
  {
    path: ["agents", "rotate"],
    args: [NAME],
    options: [JSON_OUTPUT],
    summary: "Give an agent that lost its key or rotation secret new ones, and end the old",
    examples: ["murmur agents rotate my-coder"],
    load: () => import("../commands/agents-rotate.js"),
  },
  {
    path: ["agents", "revoke"],
    args: [NAME],
    options: [],
    summary: "End a registered agent's key and rotation secret for good",
    examples: ["murmur agents revoke my-coder"],
    load: () => import("../commands/agents-revoke.js"),
  },
];
