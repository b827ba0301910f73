// As reader.mjs, but reads no file: `process.env` of this running program changes. Falls back to the
// files where nothing makes it change. Usage: live.mjs OBSERVATIONS
import { createHash } from "node:crypto";
import { appendFileSync } from "node:fs";
import { join } from "node:path";

const [observations] = process.argv.slice(2);
let reads = 0;
let torn = 0;
let noted = "";

function look() {
  const { MURMUR_GENERATION: generation, DEMO_TOKEN: token, DEMO_TOKEN_TWIN: twin } = process.env;
  // A swap fell in between: look again.
  if (process.env.MURMUR_GENERATION !== generation) return;
  reads++;
  if (token?.slice(4) !== twin?.slice(5)) torn++;
  if (token === noted) return;
  noted = token;
  note();
}

function note() {
  const fingerprint = createHash("sha256").update(noted).digest("hex").slice(0, 12);
  appendFileSync(
    join(observations, String(process.pid)),
    `${Date.now()} node ${fingerprint} ${reads} ${torn} environment\n`,
  );
}

if ((process.env.MURMUR_LIVE ?? "").split(",").includes("node")) {
  look();
  setInterval(look, 5);
  setInterval(note, 200);
} else {
  await import("./reader.mjs");
}
