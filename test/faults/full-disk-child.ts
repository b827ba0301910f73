import * as fs from "node:fs";
import { join } from "node:path";
import { createEnvFiles } from "../../services/vm-agent/env-set/env-files";
import { type SyncFs } from "../../services/vm-agent/env-set/sync-fs";
import { generationNames, seenSet, strayNames } from "../harness/env-files";
import { EXAMPLE_AGENT, exampleSet } from "./example-set";

/** One swap on an almost full file system. */
export interface FullDiskRun {
  freePages: number;
  /** The check for free space was told that there is plenty, as when others fill the disk since. */
  isMisled: boolean;
  outcome: string;
  /** Whose bytes stand afterwards. */
  standing: "old" | "new" | "neither";
  leftovers: string[];
}

const PAGE_BYTES = 4096;

/**
 * Runs on a small tmpfs of its own, mounted at the path given: fills it up to each number of free
 * pages that it is given, swaps, and says what happened as JSON.
 */
function main([mountPoint = "", uid = "0", gid = "0", ...free]: string[]): void {
  const runs: FullDiskRun[] = [];
  for (const isMisled of [false, true]) {
    for (const freePages of free.map(Number)) {
      const agentsDirectory = join(mountPoint, "agents");
      fs.mkdirSync(agentsDirectory, { mode: 0o711 });
      runs.push(run(agentsDirectory, { uid: Number(uid), gid: Number(gid) }, freePages, isMisled));
      for (const name of fs.readdirSync(mountPoint)) {
        fs.rmSync(join(mountPoint, name), { recursive: true });
      }
    }
  }
  process.stdout.write(JSON.stringify(runs));
}

function run(
  agentsDirectory: string,
  owner: { uid: number; gid: number },
  freePages: number,
  isMisled: boolean,
): FullDiskRun {
  const misled: SyncFs = { ...fs, statfsSync: plenty as unknown as SyncFs["statfsSync"] };
  const daemonUid = process.geteuid?.() ?? 0;
  const files = createEnvFiles({ agentsDirectory, uid: daemonUid, fs: isMisled ? misled : fs });
  const directory = files.directoryOf(EXAMPLE_AGENT);
  try {
    files.swap(exampleSet(1n), owner);
    fillUp(join(agentsDirectory, "..", "ballast"), freePages);
    const outcome = attempt(() => files.swap(exampleSet(2n), owner));
    const seen = contentsOf(directory);
    const standing = seen === wantedOf(1n) ? "old" : seen === wantedOf(2n) ? "new" : "neither";
    const expected = standing === "new" ? 2 : 1;
    const surplus = generationNames(directory).slice(expected);
    const leftovers = [...strayNames(directory), ...surplus];
    return { freePages, isMisled, outcome, standing, leftovers };
  } finally {
    files.close();
  }
}

function plenty(): { bavail: number; bsize: number } {
  return { bavail: 1_000_000, bsize: PAGE_BYTES };
}

/** Leaves exactly `freePages` pages. */
function fillUp(path: string, freePages: number): void {
  const { bavail, bsize } = fs.statfsSync(join(path, ".."));
  fs.writeFileSync(path, Buffer.alloc((bavail - freePages) * bsize));
}

function attempt(work: () => unknown): string {
  try {
    work();
    return "swapped";
  } catch (error) {
    const { name, fault } = error as { name?: string; fault?: string };
    return name === "EnvSetError" ? String(fault) : `not an EnvSetError: ${String(error)}`;
  }
}

function contentsOf(directory: string): string {
  return sortedJson([...(seenSet(directory) ?? [])].map(([path, file]) => [path, file.content]));
}

function wantedOf(generation: bigint): string {
  const { files } = exampleSet(generation);
  return sortedJson(files.map((it) => [it.path, it.content.expose().toString("latin1")]));
}

function sortedJson(pairs: (string | undefined)[][]): string {
  return JSON.stringify(pairs.sort(([a = ""], [b = ""]) => (a < b ? -1 : 1)));
}

main(process.argv.slice(2));
