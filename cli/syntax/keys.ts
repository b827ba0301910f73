import { type CommandSyntax, type OptionSyntax, type Run } from "../command";
import { GRACE_WORDS } from "../keys/grace";
import { AGENT_TOKEN, API_KEY, type KeyKind, type RunOf } from "../keys/kind";
import { JSON_OUTPUT } from "./options";

const ID = { name: "id" };
const EXPIRES: OptionSyntax = {
  flags: "--expires <time>",
  description:
    "when it ends, such as 2030-01-31T12:00:00Z, or from now: 30m, 24h, 30d (default: never)",
};
const EXAMPLE_ID = "0b9c5a52-6b1f-4c1b-9b7e-0d5f3f3a9a11";

/** API keys of programs, tokens of agents. */
export const KEY_COMMANDS: readonly CommandSyntax[] = [
  {
    path: ["keys", "create"],
    args: [{ name: "label" }],
    options: [
      {
        flags: "--scope <scope>",
        description:
          'what it may do: "METHOD /path/prefix*" or package.Service/Method; repeatable (default: all that you may)',
        isList: true,
      },
      EXPIRES,
      JSON_OUTPUT,
    ],
    summary: "Make an API key and show it once",
    examples: ['murmur keys create ci --scope "GET /v1/secrets*" --expires 30d'],
    load: loadOf(API_KEY, () => import("../commands/keys-create.js")),
  },
  {
    path: ["tokens", "create"],
    args: [{ name: "agent" }],
    options: [{ flags: "--label <text>", description: "what it is for" }, EXPIRES, JSON_OUTPUT],
    summary: "Make a token for an agent and show it once",
    examples: ["murmur tokens create my-coder --expires 7d"],
    load: loadOf(AGENT_TOKEN, () => import("../commands/keys-create.js")),
  },
  ...[API_KEY, AGENT_TOKEN].flatMap(sharedCommands),
];

function sharedCommands(kind: KeyKind): CommandSyntax[] {
  const { group, word } = kind;
  return [
    {
      path: [group, "ls"],
      args: [],
      options: [
        { flags: "-a, --all", description: "those that are expired or revoked, too" },
        JSON_OUTPUT,
      ],
      summary: `List your ${word}s; admins and owners: all of the tenant`,
      examples: [`murmur ${group} ls`],
      load: loadOf(kind, () => import("../commands/keys-ls.js")),
    },
    {
      path: [group, "show"],
      args: [ID],
      options: [JSON_OUTPUT],
      summary: `Show an ${word}, never its value`,
      examples: [`murmur ${group} show ${EXAMPLE_ID}`],
      load: loadOf(kind, () => import("../commands/keys-show.js")),
    },
    {
      path: [group, "rotate"],
      args: [ID],
      options: [
        {
          flags: "--grace <period>",
          description: `how long the old one stays valid beside the new one: ${GRACE_WORDS.join(", ")}; required`,
          candidates: GRACE_WORDS,
        },
        {
          flags: "--revoke-when-applied",
          description:
            "store the new one in the secret that carries it, rekey all who hold that, and end the old one as soon as nobody uses it any more, after the grace period at the latest",
        },
        {
          flags: "--secret <name>",
          description: "the secret that carries it (default: the one of the last time)",
        },
        { flags: "--wait", description: "until the old one has ended; exits 0 if on evidence" },
        {
          flags: "--timeout <duration>",
          description: "how long to wait, such as 30s or 5m (default: until the grace is over)",
        },
        JSON_OUTPUT,
      ],
      summary: `Replace an ${word} and show the new one once`,
      examples: [
        `murmur ${group} rotate ${EXAMPLE_ID} --grace 24h`,
        `murmur ${group} rotate ${EXAMPLE_ID} --grace 24h --revoke-when-applied --secret API_KEY --wait`,
      ],
      load: loadOf(kind, () => import("../commands/keys-rotate.js")),
    },
    {
      path: [group, "revoke"],
      args: [ID],
      options: [
        {
          flags: "--at <time>",
          description: "end it then and not at once; never later than it ends by itself",
        },
        JSON_OUTPUT,
      ],
      summary: `End an ${word}`,
      examples: [`murmur ${group} revoke ${EXAMPLE_ID}`],
      load: loadOf(kind, () => import("../commands/keys-revoke.js")),
    },
  ];
}

function loadOf(kind: KeyKind, load: () => Promise<{ runOf: RunOf }>): () => Promise<{ run: Run }> {
  return async () => ({ run: (await load()).runOf(kind) });
}
