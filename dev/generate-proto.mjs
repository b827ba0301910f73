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
  const image = join(scratch, "descriptors.binpb");
  buf("build", "--as-file-descriptor-set", "--exclude-source-info", "-o", image);
  const base64 = readFileSync(image).toString("base64");
  const lines = base64.match(/.{1,120}/g).map((line) => `  "${line}",`);
  writeFileSync(
    join(root, "gen/descriptor-set.ts"),
    `// Made by dev/generate-proto.mjs: a google.protobuf.FileDescriptorSet of proto/, base64.\nexport const DESCRIPTOR_SET = [\n${lines.join("\n")}\n].join("");\n`,
  );
} finally {
  rmSync(scratch, { recursive: true });
}
