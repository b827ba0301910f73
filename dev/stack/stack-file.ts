import { randomBytes } from "node:crypto";
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** What a running stack says for programs (docs/operations.md). */
export interface StackFile {
  ready: boolean;
  catalog: string;
  rotation: string;
  gateway: string;
  kafka?: string;
  vault?: string;
  postgres: string;
  config: string;
  vms: { id: string; socket: string; run_dir: string }[];
  pids: Record<string, number>;
}

export function stackFileOf(dataDir: string): string {
  return join(dataDir, "stack.json");
}

/** Puts the file in place whole: readers see the old one or the new one. */
export function writeStackFile(dataDir: string, content: StackFile): void {
  const file = stackFileOf(dataDir);
  const temporary = `${file}.${randomBytes(6).toString("hex")}`;
  writeFileSync(temporary, `${JSON.stringify(content, null, 2)}\n`, { mode: 0o600, flag: "wx" });
  renameSync(temporary, file);
}

export function removeStackFile(dataDir: string): void {
  rmSync(stackFileOf(dataDir), { force: true });
}

/** Run directories of a stack that was not stopped in order: they still hold env files. */
export function staleRunDirs(dataDir: string): string[] {
  try {
    const { vms } = JSON.parse(readFileSync(stackFileOf(dataDir), "utf8")) as StackFile;
    return vms.map(({ run_dir: runDir }) => dirname(runDir));
  } catch {
    return []; // Absent or garbled.
  }
}
