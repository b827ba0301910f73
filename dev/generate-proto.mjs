// Makes gen/ from proto/: TypeScript by ts-proto, and the descriptor set that reflection serves.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
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
