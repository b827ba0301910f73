import { type CommandSyntax } from "../command";
import { JSON_OUTPUT } from "./options";

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
