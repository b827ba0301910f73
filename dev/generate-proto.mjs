// Makes gen/ from proto/: TypeScript by ts-proto, the descriptor set that reflection serves, and comments.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const buf = (...args) =>
  execFileSync(join(root, "node_modules/.bin/buf"), args, { cwd: root, stdio: "inherit" });

buf("lint");
buf("generate");
const scratch = mkdtempSync(join(tmpdir(), "murmur-proto-"));
try {
  const build = (input, image) => {
    buf("build", input, "--as-file-descriptor-set", "--exclude-source-info", "-o", image);
    return readFileSync(image);
  };
  const own = build(".", join(scratch, "own.binpb"));
  const health = build("node_modules/grpc-health-check/proto", join(scratch, "health.binpb"));
  // Sets are repeated fields: one behind the other is both.
  const base64 = Buffer.concat([own, health]).toString("base64");
  const lines = base64.match(/.{1,120}/g).map((line) => `  "${line}",`);
  writeFileSync(
    join(root, "gen/descriptor-set.ts"),
    `// Made by dev/generate-proto.mjs: a google.protobuf.FileDescriptorSet of proto/ and of\n// the health service, base64.\nexport const DESCRIPTOR_SET = [\n${lines.join("\n")}\n].join("");\n`,
  );
} finally {
  rmSync(scratch, { recursive: true });
}

writeFileSync(join(root, "docs/errors.md"), errorsPage());
writeFileSync(join(root, "gen/proto-comments.ts"), commentsModule());

/** gen/proto-comments.ts: what proto/ says of each message, field and RPC, for the OpenAPI document. */
function commentsModule() {
  const files = readdirSync(join(root, "proto/murmur"), { recursive: true, encoding: "utf8" });
  const comments = files
    .filter((name) => name.endsWith(".proto"))
    .sort()
    .flatMap((name) => commentsOf(readFileSync(join(root, "proto/murmur", name), "utf8")));
  const entries = comments.map(
    ([name, text]) => `  [${JSON.stringify(name)}, ${JSON.stringify(text)}],\n`,
  );
  return `// Made by dev/generate-proto.mjs: the comments of proto/, by full name.\nexport const PROTO_COMMENTS: ReadonlyMap<string, string> = new Map([\n${entries.join("")}]);\n`;
}

/** A comment stands right above what it is about; a oneof is no part of its fields' names. */
function commentsOf(text) {
  const scopes = [/^package (.*);$/m.exec(text)[1]];
  const found = [];
  let lines = [];
  for (const line of text.split("\n").map((it) => it.trim())) {
    const comment = /^\/\/ ?(.*)$/.exec(line)?.[1];
    if (comment !== undefined) {
      lines.push(comment);
      continue;
    }
    const opened = /^(message|service|enum|oneof) (\w+) \{(\})?$/.exec(line);
    const named =
      opened?.[1] === "oneof"
        ? undefined
        : (opened?.[2] ??
          /^rpc (\w+)\(|^(?:repeated |optional )?[\w.]+ (\w+) = \d+/
            .exec(line)
            ?.slice(1)
            .find(Boolean));
    if (named && lines.length > 0)
      found.push([[...scopes, named].filter(Boolean).join("."), lines.join("\n")]);
    if (opened && !opened[3]) scopes.push(opened[1] === "oneof" ? "" : opened[2]);
    if (line === "}") scopes.pop();
    lines = [];
  }
  return found;
}

/** docs/errors.md: every reason with the comment that its enum value has. */
function errorsPage() {
  const text = readFileSync(join(root, "proto/murmur/errors/v1/error_reason.proto"), "utf8");
  const values = text.matchAll(/((?: {2}\/\/ .*\n)+) {2}ERROR_REASON_(\w+) = (\d+);/g);
  const rows = [...values]
    .filter(([, , name]) => name !== "UNSPECIFIED")
    .map(([, comment, name]) => {
      const sentence = comment
        .replaceAll(/^ {2}\/\/ /gm, "")
        .trim()
        .replaceAll("\n", " ");
      return `| \`${name}\` | ${sentence.replaceAll("|", "\\|")} |`;
    });
  return `# Errors

<!-- Made by dev/generate-proto.mjs from proto/murmur/errors/v1/error_reason.proto. -->

Every error carries a \`google.rpc.ErrorInfo\` with the domain \`murmur.dev\` and one of these reasons; \`BadRequest\` lists every wrong field, \`RetryInfo\` says when to ask again.

| Code | Meaning | Again? |
| --- | --- | --- |
| \`INVALID_ARGUMENT\` | the request is wrong, whatever the state | no |
| \`UNAUTHENTICATED\` | no valid credential; every cause looks the same | with another credential |
| \`PERMISSION_DENIED\` | known, and not allowed | no |
| \`NOT_FOUND\` | not there, or not yours to know of | no |
| \`ALREADY_EXISTS\`, \`FAILED_PRECONDITION\` | the state does not allow it | when the state has changed |
| \`ABORTED\` | lost a race | after reading again |
| \`RESOURCE_EXHAUSTED\` | a limit is reached | after \`RetryInfo\` |
| \`UNAVAILABLE\` | a dependency is away; nothing was half done | after \`RetryInfo\` |
| \`DEADLINE_EXCEEDED\` | the deadline passed; nothing was half done | yes, with the same request id |
| \`INTERNAL\` | a bug; the message has a request id, the log the rest | report it |

| Reason | Means |
| --- | --- |
${rows.join("\n")}
`;
}
