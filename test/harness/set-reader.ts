import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findTool, runTool } from "../../dev/parts/tools";

/** What a tight-loop reader saw: see set-reader.c. */
export interface SetReport {
  reads: number;
  rounds: number;
  mixed: number;
  absent: number;
  wrong: number;
  pruned: number;
  wentBack: number;
  generations: number;
}

/** A reader in C that shares no code with the product. */
export interface SetReader {
  /** Reads this agent's directory over and over, until the returned function asks for the report. */
  start(agentDirectory: string): () => Promise<SetReport>;
  remove(): void;
}

/** Compiles it. */
export async function compileSetReader(): Promise<SetReader> {
  const gcc = await findTool("gcc");
  const directory = mkdtempSync(join(tmpdir(), "murmur-reader-"));
  const program = join(directory, "set-reader");
  const source = join(__dirname, "set-reader.c");
  await runTool(gcc, ["-O2", "-Wall", "-Werror", "-o", program, source], directory);
  return {
    start(agentDirectory) {
      // Behind everybody else: it takes what processor time is left.
      const args = ["-n", "19", program, agentDirectory, String(process.getuid?.() ?? 0)];
      const child = spawn("nice", args, { stdio: ["pipe", "pipe", "inherit"] });
      let text = "";
      child.stdout.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
      const closed = once(child, "close");
      return async () => {
        child.stdin.end();
        await closed;
        return JSON.parse(text) as SetReport;
      };
    },
    remove: () => {
      rmSync(directory, { recursive: true });
    },
  };
}
