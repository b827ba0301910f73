import { type CommandSyntax } from "../command";

const OF_AN_AGENT =
  "Works inside an agent only: the VM's daemon answers the agents' own processes.";

/** What programs inside an agent ask for, answered with the values in force at that moment. */
export const ASKING_COMMANDS: readonly CommandSyntax[] = [
  {
    path: ["env", "get"],
    args: [{ name: "name" }],
    options: [],
    summary: "Print a value of the calling agent's own environment, byte for byte",
    details: [OF_AN_AGENT],
    examples: ['curl -H "authorization: Bearer $(murmur env get API_TOKEN)" …'],
    load: () => import("../commands/env-get.js"),
  },
  {
    path: ["credential", "git"],
    args: [{ name: "operation", candidates: ["get", "store", "erase"] }],
    options: [],
    summary: "Answer git, as its credential helper",
    details: [
      OF_AN_AGENT,
      "Knows github.com (GH_TOKEN, GITHUB_TOKEN), gitlab.com and bitbucket.org; others are named under git: in murmur.yaml.",
    ],
    examples: ["git config --global credential.helper '!murmur credential git'"],
    load: () => import("../commands/credential-git.js"),
  },
  {
    path: ["credential", "aws"],
    args: [],
    options: [
      {
        flags: "--prefix <text>",
        description: "before AWS_ACCESS_KEY_ID and its like in the secrets' names",
      },
    ],
    summary: "Answer AWS programs, as their credential_process",
    details: [
      OF_AN_AGENT,
      "Programs prefer AWS_ACCESS_KEY_ID in their environment: give the secrets a prefix.",
    ],
    examples: ["aws configure set credential_process 'murmur credential aws --prefix DEPLOY_'"],
    load: () => import("../commands/credential-aws.js"),
  },
  {
    path: ["credential", "docker"],
    args: [{ name: "operation", candidates: ["get", "list", "store", "erase"] }],
    options: [],
    summary: "Answer docker, as its credential helper docker-credential-murmur",
    details: [
      OF_AN_AGENT,
      "Docker finds it by name: link docker-credential-murmur to murmur, in a directory of PATH.",
      "Knows ghcr.io and registry.gitlab.com; others are named under docker: in murmur.yaml.",
    ],
    examples: ["echo ghcr.io | murmur credential docker get"],
    load: () => import("../commands/credential-docker.js"),
  },
  {
    path: ["credential", "api-key"],
    args: [{ name: "name", isOptional: true }],
    options: [],
    summary: "Print an API key, for the apiKeyHelper of Claude Code (default: ANTHROPIC_API_KEY)",
    details: [OF_AN_AGENT],
    examples: ["murmur credential api-key ANTHROPIC_API_KEY"],
    load: () => import("../commands/credential-api-key.js"),
  },
];
