import { execFile } from "node:child_process";
import { chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Log } from "../../../lib/log";
import { nextLiveFile } from "./delivered";
import { liveNames } from "./launch";
import { encodeLiveFile } from "./live-file";
import { LAYERS, SLOT_BYTES, type LayerName } from "./receipts";

export interface SelfTestDeps {
  /** Where the layers are installed. */
  directory: string;
  /** The daemon's run directory, for a set that exists for the test only. */
  runDir: string;
  /** Where programs are looked for. */
  searchPath: string | undefined;
  /** Who will use them. */
  user: { uid: number; gid: number };
  log: Log;
}

const PROBE = "LIVE_ENV_PROBE";
/** Far more than it takes: on a machine that is busy at its start, too, the layers are to be found good. */
const TEST_MS = 15_000;
/** Prints the probe by the means of each language; one that is not on the machine breaks nothing. */
const PROGRAMS: Record<LayerName, readonly [string, ...string[]]> = {
  exec: ["printenv", PROBE],
  bash: ["bash", "-c", `printf %s "$${PROBE}"`],
  node: ["node", "-p", `process.env.${PROBE}`],
  python: ["python3", "-c", `import os; print(os.environ["${PROBE}"])`],
};

/**
 * Which layers may be given to agents: those under which a program, run as the agents' user, says
 * nothing but the new value. A file system without execution, a path that a user cannot enter, a
 * loader that dislikes our object: done without, and said once.
 */
export async function testLayers(deps: SelfTestDeps): Promise<LayerName[]> {
  const agentDirectory = mkdtempSync(join(deps.runDir, "live-env", "self-test-"));
  try {
    prepare(agentDirectory, deps.user);
    const outcomes = await Promise.all(LAYERS.map((layer) => test(layer, agentDirectory, deps)));
    return LAYERS.filter((_, at) => outcomes[at]);
  } finally {
    rmSync(agentDirectory, { recursive: true, force: true });
  }
}

/** An agent's directory in which the second generation is in force. */
function prepare(directory: string, { uid, gid }: SelfTestDeps["user"]): void {
  const newKey = Buffer.alloc(16, 7);
  const deliver = (text: string) => [{ name: PROBE, value: Buffer.from(text) }];
  const first = nextLiveFile(undefined, { generation: 1n, entries: deliver("old"), newKey });
  const second = nextLiveFile(first, { generation: 2n, entries: deliver("new"), newKey });
  const page = Buffer.alloc(8);
  page.writeBigUInt64LE(2n);
  mkdirSync(join(directory, "..g2"));
  symlinkSync("..g2", join(directory, "..data"));
  const files = [
    { name: "page", content: page },
    { name: "receipts", content: Buffer.alloc(4096 * SLOT_BYTES) },
    { name: "..g2/live", content: encodeLiveFile(second) },
  ];
  for (const { name, content } of files) {
    writeFileSync(join(directory, name), content, { mode: 0o600 });
    if (process.getuid?.() === 0) chownSync(join(directory, name), uid, gid);
  }
  if (process.getuid?.() !== 0) return;
  for (const path of [directory, join(directory, "..g2")]) chownSync(path, uid, gid);
}

async function test(
  layer: LayerName,
  agentDirectory: string,
  { directory, user, searchPath, log }: SelfTestDeps,
): Promise<boolean> {
  if (layer === "exec" && /[\s:]/.test(directory)) {
    log.warn("layer is not used: its path has a space or a colon", { layer, directory });
    return false;
  }
  const [program, ...argv] = PROGRAMS[layer];
  const environment = {
    PATH: searchPath,
    HOME: "/",
    ...liveNames({}, { directory, works: [layer] }),
    MURMUR_DIR: agentDirectory,
    MURMUR_GENERATION: "1",
    [PROBE]: "old",
  };
  const identity = process.getuid?.() === 0 ? { uid: user.uid, gid: user.gid } : {};
  const options = { env: environment, timeout: TEST_MS, cwd: "/", ...identity };
  const said = await new Promise<{ error?: Error; stdout: string; stderr: string }>((resolve) => {
    execFile(program, argv, options, (error, stdout, stderr) => {
      resolve({ ...(error && { error }), stdout, stderr });
    });
  });
  const isAbsent = (said.error as NodeJS.ErrnoException | undefined)?.code === "ENOENT";
  const isRight = !said.error && said.stdout.trim() === "new" && said.stderr === "";
  if (!isAbsent && !isRight) log.warn("layer is not used: its test failed", { layer, ...said });
  return isAbsent || isRight;
}
