import { type CommandSyntax } from "../command";
import { JSON_OUTPUT } from "./options";

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
        flags: "--login",
        description: "sign in with your identity provider, in a browser on any machine",
      },
      {
        flags: "--api-key <source>",
        description: "an API key from standard input, which - stands for; never the key itself",
        candidates: ["-"],
      },
      {
        flags: "--token-file <file>",
        description: "read the identity token or API key from a file",
        candidates: "file",
      },
      { flags: "--renew", description: "exchange the present token for one with a full life" },
    ],
    summary: "Write the identity token, or an API key, and the addresses to murmur.local.yaml",
    details: [
      "It comes from a sign-in (--login), MURMUR_API_KEY, standard input or a hidden prompt, and is verified before it is kept.",
      "Written is the nearest murmur.local.yaml, else .murmur/murmur.local.yaml, ignored by git.",
    ],
    examples: [
      "murmur auth --catalog 127.0.0.1:7301 --rotation 127.0.0.1:7302 < token",
      "murmur auth --login",
      "MURMUR_API_KEY=… murmur auth --rotation 127.0.0.1:7302",
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
    path: ["auth", "status"],
    args: [],
    options: [JSON_OUTPUT],
    summary: "Say who you are here, by what, and until when",
    examples: ["murmur auth status"],
    load: () => import("../commands/auth-status.js"),
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
