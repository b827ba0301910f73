import { type CommandSyntax } from "../command";
import { JSON_OUTPUT, SLUG, WORKSPACE } from "./options";

/** Bringing agents to fresh secrets. */
export const ROLLOUT_COMMANDS: readonly CommandSyntax[] = [
  {
    path: ["rekey"],
    args: [SLUG],
    options: [
      WORKSPACE,
      { flags: "--timeout <duration>", description: "how long to wait for the VMs (default: 30s)" },
      {
        flags: "--wait <for>",
        description: "files: until every VM has swapped its env files (default: files)",
        candidates: ["files"],
      },
      { flags: "--no-wait", description: "return as soon as the rollout is durable" },
      { flags: "--reason <text>", description: "kept with the rollout" },
      JSON_OUTPUT,
    ],
    summary: "Give an agent and its children fresh secrets without restarting them",
    details: ["Runs from your laptop only; it is not available on agent VMs."],
    examples: ["murmur rekey fix-auth", "murmur rekey --workspace backend fix-auth"],
    load: () => import("../commands/rekey.js"),
  },
  {
    path: ["rollouts"],
    args: [{ name: "rollout", isOptional: true, candidates: "rollout" }],
    options: [
      WORKSPACE,
      { flags: "-n, --limit <n>", description: "how many to list (default: 20)" },
      JSON_OUTPUT,
    ],
    summary: "List rollouts, newest first, or show one with every agent in it",
    examples: ["murmur rollouts"],
    load: () => import("../commands/rollouts.js"),
  },
];
