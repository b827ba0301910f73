import { type CommandSyntax } from "../command";
import { JSON_OUTPUT, SLUG, WORKSPACE } from "./options";

/** Running agents. */
export const AGENT_COMMANDS: readonly CommandSyntax[] = [
  {
    path: ["spawn"],
    args: [{ name: "slug" }, { name: "command", isRest: true, candidates: "command" }],
    options: [
      {
        flags: "--vm <name>",
        description: "the VM to run on; else the workspace's, or the only one",
        candidates: "vm",
      },
      WORKSPACE,
      {
        flags: "-e, --env <NAME=VALUE>",
        description: "a secret for this agent alone; NAME takes the value it has here",
        isList: true,
      },
      {
        flags: "--env-file <file>",
        description: "the same for all of an env file, as in murmur secret import; -e wins",
        isList: true,
        candidates: "file",
      },
      { flags: "--cwd <directory>", description: "where to start, on the VM" },
      JSON_OUTPUT,
    ],
    summary: "Start an agent; on a VM, a child of the calling agent",
    examples: ["murmur spawn --vm build-1 fix-auth -- ./agent.sh --task 42"],
    load: () => import("../commands/spawn.js"),
  },
  {
    path: ["adopt"],
    args: [{ name: "slug" }],
    options: [
      { flags: "--pid <n>", description: "the process, by its number on the VM" },
      {
        flags: "--vm <name>",
        description: "the VM that it runs on; else the only one there is",
        candidates: "vm",
      },
      WORKSPACE,
      {
        flags: "-e, --env <NAME=VALUE>",
        description: "a secret for this agent alone; NAME takes the value it has here",
        isList: true,
      },
      {
        flags: "--env-file <file>",
        description: "the same for all of an env file; -e wins",
        isList: true,
        candidates: "file",
      },
      { flags: "--cwd <directory>", description: "where its reload hook runs, on the VM" },
      { flags: "--timeout <duration>", description: "how long to wait for the VM (default: 30s)" },
      JSON_OUTPUT,
    ],
    summary: "Make a running process and its children an agent; on a VM, a child of the caller",
    details: [
      "It gets env files, the reload of murmur.yaml and the local socket from then on. What it was started with cannot be changed from outside; the command says what it can use and what it cannot.",
      "It must run as the user of the VM's agents. Nothing is done to it until murmur kill, which ends it and what descends from it.",
    ],
    examples: ["murmur adopt --vm build-1 --pid 4711 fix-auth"],
    load: () => import("../commands/adopt.js"),
  },
  {
    path: ["ls"],
    args: [],
    options: [
      { flags: "-a, --all", description: "include agents that are over" },
      { flags: "-q, --quiet", description: "slugs only" },
      WORKSPACE,
      JSON_OUTPUT,
    ],
    summary: "List agents: slug, phase, VM, generation",
    examples: ["murmur ls -a"],
    load: () => import("../commands/ls.js"),
  },
  {
    path: ["status"],
    args: [SLUG],
    options: [WORKSPACE, JSON_OUTPUT],
    summary: "Show an agent with its children and processes",
    examples: ["murmur status fix-auth"],
    load: () => import("../commands/status.js"),
  },
  {
    path: ["kill"],
    args: [SLUG],
    options: [WORKSPACE, JSON_OUTPUT],
    summary: "End an agent and all its children",
    examples: ["murmur kill fix-auth/tests"],
    load: () => import("../commands/kill.js"),
  },
  {
    path: ["explain"],
    args: [SLUG],
    options: [WORKSPACE, JSON_OUTPUT],
    summary: "Say hop by hop why an agent is not on the generation it should be on",
    examples: ["murmur explain fix-auth"],
    load: () => import("../commands/explain.js"),
  },
  {
    path: ["exec"],
    args: [{ name: "command", isRest: true, candidates: "command" }],
    options: [
      {
        flags: "--agent <slug>",
        description: "the agent, when called from outside of it, on its VM",
        candidates: "agent",
      },
      WORKSPACE,
    ],
    summary: "Run a command in place, with an agent's environment as it is now",
    details: [
      "Inside an agent it means that agent. Outside, root and the agent's user may name one; root becomes that user first.",
      "The command takes this process's place: same pid, terminal, signals and exit status (125: it could not be run).",
    ],
    examples: ["murmur exec -- npm test", "murmur exec --agent fix-auth -- bash"],
    load: () => import("../commands/exec.js"),
  },
];
