// Uses DEMO_TOKEN whenever its set changes, and notes what it saw. Usage: reader.mjs OBSERVATIONS
import { createHash } from "node:crypto";
import { appendFileSync, readFileSync, readlinkSync, watch } from "node:fs";
import { join } from "node:path";

const [observations] = process.argv.slice(2);
const directory = process.env.MURMUR_DIR;
let reads = 0;
let torn = 0;
let noted = "";

function look() {
  try {
    // Resolved once: both values come from one generation.
    const set = join(directory, readlinkSync(join(directory, "..data")));
    const env = JSON.parse(readFileSync(join(set, "env.json"), "utf8"));
    reads++;
    if (env.DEMO_TOKEN?.slice(4) !== env.DEMO_TOKEN_TWIN?.slice(5)) torn++;
    if (env.DEMO_TOKEN !== noted) {
      noted = env.DEMO_TOKEN;
      note();
    }
  } catch (error) {
    if (error.code !== "ENOENT") throw error; // Pruned between two calls: look again.
  }
}

function note() {
  const fingerprint = createHash("sha256").update(noted).digest("hex").slice(0, 12);
  appendFileSync(
    join(observations, String(process.pid)),
    `${Date.now()} node ${fingerprint} ${reads} ${torn}\n`,
  );
}

watch(directory, look);
setInterval(look, 5);
setInterval(note, 200);
