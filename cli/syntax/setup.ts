import { type CommandSyntax } from "../command";

/** This machine's configuration. */
export const SETUP_COMMANDS: readonly CommandSyntax[] = [
  {
    path: ["auth"],
    args: [],
    options: [
      { flags: "--catalog <host:port>", description: "address of the catalog" },
      { flags: "--rotation <host:port>", description: "address of rotation" },
      { flags: "--tenant <id>", description: "refuse a token of another tenant" },
      { flags: "--workspace <name>", description: "the workspace of commands that name none" },
      {
        flags: "--token-file <file>",
        description: "read the identity token or API key from a file",
        candidates: "file",
      },
      { flags: "--renew", description: "exchange the present token for one with a full life" },
    ],
    summary: "Write the identity token, or an API key, and the addresses to murmur.local.yaml",
    details: [
      "It comes from standard input or a hidden prompt, and is verified before it is kept.",
      "Written is the nearest murmur.local.yaml, else .murmur/murmur.local.yaml, ignored by git.",
    ],
    examples: [
      "murmur auth --catalog 127.0.0.1:7301 --rotation 127.0.0.1:7302 < token",
      "murmur auth --renew",
    ],
    load: () => import("../commands/auth.js"),
  },
  {
    path: ["auth", "token"],
    args: [],
    options: [],
    summary: "Print the identity token",
    examples: ['grpcurl -H "authorization: Bearer $(murmur auth token)" …'],
    load: () => import("../commands/auth-token.js"),
  },
  {
    path: ["completion"],
    args: [{ name: "shell", candidates: ["bash", "zsh", "fish"] }],
    options: [],
    summary: "Print a script that completes murmur in bash, zsh or fish",
    examples: ['eval "$(murmur completion bash)"', "murmur completion fish | source"],
    load: () => import("../commands/completion.js"),
  },
];
