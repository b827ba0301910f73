import { type CommandSyntax } from "../command";
import { JSON_OUTPUT, SLUG, WAIT, WORKSPACE } from "./options";

/** Bringing agents to fresh secrets. */
export const ROLLOUT_COMMANDS: readonly CommandSyntax[] = [
  {
    path: ["rekey"],
    args: [{ ...SLUG, isOptional: true }],
    options: [
      WORKSPACE,
      {
        flags: "--secret <name>",
        description: "every agent that has this secret, in all workspaces or in --workspace",
        candidates: "secret",
      },
      { flags: "--all", description: "every living agent of the workspace" },
      {
        flags: "--canary <n|n%>",
        description:
          "begin with so many, the first by workspace and name; the rest follows when they are well",
      },
      {
        flags: "--health <command>",
        description:
          "run for each canary on its VM, as the agent's user in its environment; a failure takes all canaries back",
      },
      {
        flags: "--health-timeout <duration>",
        description: "how long the health command may take (default: 10s)",
      },
      { flags: "--then-wait <duration>", description: "how long the rest waits when all is well" },
      { flags: "--dry-run", description: "only say who would change, and which names" },
      { flags: "--timeout <duration>", description: "how long to wait for the VMs (default: 30s)" },
      WAIT,
      { flags: "--no-wait", description: "return as soon as the rollout is durable" },
      { flags: "--reason <text>", description: "kept with the rollout" },
      JSON_OUTPUT,
    ],
    summary: "Give an agent and its children fresh secrets without restarting them",
    details: [
      "Runs from your laptop only; it is not available on agent VMs.",
      "A rollout with canaries goes on by itself, and is taken back by itself, whether this command waits for it or not.",
    ],
    examples: [
      "murmur rekey fix-auth",
      "murmur rekey --workspace backend fix-auth",
      "murmur rekey --secret API_KEY --dry-run",
      "murmur rekey --all --canary 10% --health 'curl -fs localhost:8080/health' --then-wait 5m",
    ],
    load: () => import("../commands/rekey.js"),
  },
  {
    path: ["rollback"],
    args: [{ name: "rollout", candidates: "rollout" }],
    options: [
      { flags: "--timeout <duration>", description: "how long to wait for the VMs (default: 30s)" },
      WAIT,
      { flags: "--no-wait", description: "return as soon as the rollback is durable" },
      { flags: "--reason <text>", description: "kept with the rollback" },
      JSON_OUTPUT,
    ],
    summary: "Give the agents of a rollout a new generation of what they had before it",
    details: [
      "What was deleted or revoked since stays so, and is listed. A rollback is a rollout, and can be rolled back.",
    ],
    examples: ["murmur rollback 0b54d5bb-4a4e-8f6e-9d0c-3f4c1d2e5a6b"],
    load: () => import("../commands/rollback.js"),
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
  {
    path: ["holds"],
    args: [],
    options: [
      {
        flags: "--secret <name[@version]>",
        description: "the secret, or one version of it",
        candidates: "secret",
      },
      { ...WORKSPACE, description: "look at this workspace only" },
      JSON_OUTPUT,
    ],
    summary: "List every agent, VM and process that has a secret",
    details: [
      "By what stands on the VMs now, and by what processes say that they have taken over. What cannot be told is listed as such: it may have the secret.",
    ],
    examples: ["murmur holds --secret API_KEY@3"],
    load: () => import("../commands/holds.js"),
  },
];
