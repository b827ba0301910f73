import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync } from "node:fs";
import { join } from "node:path";
import { findTool, runTool } from "../../dev/parts/tools";
import { agentOwner, createTestRunDir, type TestRunDir } from "../harness/env-files";
import { type ChildProgram, compileChild } from "./child-program";
import { EXAMPLE_AGENT, exampleSet } from "./example-set";

const SWAPS = 1000;
const READS = 1_000_000;
const DEADLINE_MS = 90_000;

let runDir: TestRunDir;
let program: ChildProgram;
let reader: string;

beforeAll(async () => {
  const gcc = await findTool("gcc");
  program = compileChild("swap-child.ts");
  reader = join(program.directory, "env-reader");
  await runTool(gcc, ["-O2", "-Wall", "-o", reader, join(__dirname, "env-reader.c")], __dirname);
  runDir = createTestRunDir();
  // The reader runs as the agent's user and has to get this far.
  chmodSync(runDir.base, 0o755);
}, 300_000);

afterAll(() => {
  runDir.remove();
  program.remove();
});

test(
  "a million reads across a thousand swaps see no mix, no absence, no wrong mode and no way back",
  async () => {
    const files = runDir.start();
    files.swap(exampleSet(1n), agentOwner);
    const directory = join(runDir.agentsDirectory, EXAMPLE_AGENT);
    const asAgent = process.geteuid?.() === 0 ? agentOwner : {};
    const child = spawn(reader, [directory, String(agentOwner.uid)], {
      stdio: ["pipe", "pipe", "inherit"],
      ...asAgent,
    });
    const timer = setTimeout(() => child.kill("SIGKILL"), DEADLINE_MS);
    let generation = 1n;
    let batches = 0;
    let text = "";
    child.stdout.on("data", (chunk: Buffer) => {
      text += chunk.toString();
      // One swap for each batch of reads that the reader says it has done.
      for (const byte of chunk) {
        if (byte !== ".".charCodeAt(0)) continue;
        batches++;
        if (generation > SWAPS) continue;
        files.swap(exampleSet(++generation), agentOwner);
        files.prune(EXAMPLE_AGENT);
      }
      if (generation > SWAPS && batches * 1000 >= READS) child.stdin.end();
    });
    await once(child, "close");
    clearTimeout(timer);
    const report = JSON.parse(text.slice(text.indexOf("{"))) as Record<string, number>;
    expect(report).toMatchObject({ mixed: 0, absent: 0, wrong: 0, pageAhead: 0, wentBack: 0 });
    expect(report["reads"]).toBeGreaterThanOrEqual(READS);
    expect(report["page"]).toBe(SWAPS + 1);
    // What a reader resolved three swaps ago may be gone; that must stay the exception.
    expect(report["pruned"]).toBeLessThan(report["rounds"]! / 100);
  },
  DEADLINE_MS + 10_000,
);
