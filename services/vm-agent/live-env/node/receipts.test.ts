import { execFileSync } from "node:child_process";
import {
  existsSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { eventually } from "../../../../test/harness/eventually";
import { startNodeProgram, type NodeProgram } from "../../../../test/harness/node-program";
import { createTestDirectory, type TestDirectory } from "../test-directory";
import { liveEnvironment } from "./live-environment";

const SLOTS = 4096;
const SLOT_BYTES = 64;

let directory: TestDirectory;
let program: NodeProgram;
let file: string;

beforeEach(() => {
  directory = createTestDirectory([{ generation: 1, set: { TOKEN: "old" } }]);
  file = join(directory.path, "receipts");
});

afterEach(async () => {
  const ended = await program.end();
  directory.remove();
  expect(ended).toMatchObject({ code: 0, stderr: "" });
});

async function start(): Promise<void> {
  program = startNodeProgram(liveEnvironment(directory.path, { TOKEN: "old" }, 1));
  await program.ask("0");
}

const read = () => program.ask("process.env.TOKEN");
async function swap(generation: number): Promise<void> {
  directory.swap({ generation, set: { TOKEN: `value-${String(generation)}` } });
  await eventually(async () => expect(await read()).toBe(`value-${String(generation)}`));
}

/** A field of /proc/PID/stat, counted from 1. */
function statOf(pid: number, field: number): bigint {
  const text = readFileSync(`/proc/${String(pid)}/stat`, "latin1");
  return BigInt(text.split(") ").at(-1)!.split(" ")[field - 3]!);
}
const ticksOf = (pid: number) => statOf(pid, 22);

/** Writes into slots what a process leaves there. */
function occupy(slots: readonly number[], pid: number, ticks: bigint): void {
  const bytes = readFileSync(file);
  for (const slot of slots) {
    bytes.writeUInt32LE(pid, slot * SLOT_BYTES);
    bytes.writeBigUInt64LE(ticks, slot * SLOT_BYTES + 8);
  }
  writeFileSync(file, bytes);
}
const everySlot = Array.from({ length: SLOTS }, (_, slot) => slot);

describe("a receipt", () => {
  it("says at the start who it is, what it has, and that it reads through", async () => {
    await start();
    expect(directory.receipts()).toEqual([
      {
        slot: program.pid % SLOTS,
        pid: program.pid,
        layer: 3,
        startTicks: ticksOf(program.pid),
        generation: 1n,
        readsThrough: true,
        notAppliedNatively: false,
        firstConsumedNs: expect.any(BigInt) as bigint,
        lastReadOfBeforeNs: 0n,
        generationBefore: 0n,
        stackStart: statOf(program.pid, 28),
      },
    ]);
  });

  it("says when the new value was first had, and the old one last read", async () => {
    await start();
    const ns = () => BigInt(Date.now()) * 1_000_000n;
    const before = ns();
    await read();
    const between = ns();
    await swap(2);
    const receipt = directory.receiptOf(program.pid)!;
    expect(receipt).toMatchObject({ generation: 2n, generationBefore: 1n, readsThrough: true });
    expect(receipt.lastReadOfBeforeNs).toBeGreaterThanOrEqual(before);
    expect(receipt.lastReadOfBeforeNs).toBeLessThanOrEqual(receipt.firstConsumedNs);
    expect(receipt.firstConsumedNs).toBeGreaterThanOrEqual(between);
    expect(receipt.firstConsumedNs).toBeLessThanOrEqual(ns());
    // Rounded as the numbers of JavaScript are, one could lie before what it comes after.
    expect(receipt.lastReadOfBeforeNs % 1_000_000n).toBe(0n);
    expect(receipt.firstConsumedNs % 1_000_000n).toBe(0n);
  });

  it("of an idle process stays on what it has, and reads through", async () => {
    await start();
    directory.swap({ generation: 2, set: { TOKEN: "value-2" } });
    expect(directory.receiptOf(program.pid)).toMatchObject({ generation: 1n, readsThrough: true });
  });

  it("is left in the next slot when a living process has the first", async () => {
    occupy(everySlot, process.pid, ticksOf(process.pid));
    await start();
    expect(directory.receiptOf(program.pid)).toBeUndefined();
    const free = (program.pid + 7) % SLOTS;
    occupy([free], 0, 0n);
    await swap(2);
    expect(directory.receiptOf(program.pid)).toMatchObject({ slot: free, generation: 2n });
  });

  it("takes the slot of a process that is gone, or whose pid another one has now", async () => {
    occupy(everySlot, process.pid, ticksOf(process.pid) - 1n);
    await start();
    expect(directory.receiptOf(program.pid)?.slot).toBe(program.pid % SLOTS);
  });

  it("keeps what an earlier layer of the process knew of the generation", async () => {
    await start();
    await swap(2);
    const known = directory.receiptOf(program.pid)!;
    const { lastReadOfBeforeNs, firstConsumedNs } = known;
    const bytes = readFileSync(file);
    bytes.writeUInt32LE(1, known.slot * SLOT_BYTES + 4);
    writeFileSync(file, bytes);
    // Writes again, of the same generation.
    await program.ask("process.env = {}; 0");
    expect(directory.receiptOf(program.pid)).toMatchObject({
      layer: 3,
      generation: 2n,
      readsThrough: false,
      lastReadOfBeforeNs,
      firstConsumedNs,
    });
  });
});

describe("without a place for receipts the program is current all the same", () => {
  const other = () => join(dirname(directory.path), "other");

  it("when the file is missing: it is not made", async () => {
    rmSync(file);
    await start();
    await swap(2);
    expect(existsSync(file)).toBe(false);
  });

  it("when it is cut short: it is not made longer", async () => {
    truncateSync(file, 100);
    await start();
    await swap(2);
    expect(readFileSync(file)).toHaveLength(100);
  });

  it("when it is a link: that is not followed", async () => {
    renameSync(file, other());
    symlinkSync(other(), file);
    await start();
    await swap(2);
    expect(readFileSync(other()).every((byte) => byte === 0)).toBe(true);
  });

  it("when it is a pipe or a directory: nothing waits", async () => {
    rmSync(file);
    execFileSync("mkfifo", [file]);
    await start();
    await swap(2);
    rmSync(file);
    execFileSync("mkdir", [file]);
    await swap(3);
  });
});

describe("a running program", () => {
  it("keeps what it has when its agent's directory goes, and costs no descriptor", async () => {
    await start();
    const before = await program.ask("require('fs').readdirSync('/proc/self/fd').length");
    directory.remove();
    for (let i = 0; i < 20; i++) expect(await read()).toBe("old");
    expect(await program.ask("require('fs').readdirSync('/proc/self/fd').length")).toBe(before);
  });

  it("passes over a file that makes no sense, and takes the next one", async () => {
    await start();
    const live = join(directory.path, "..data", "live");
    directory.swap({ generation: 2, set: { TOKEN: "value-2" } });
    rmSync(live);
    writeFileSync(live, "MURMURL1 and then nothing");
    expect(await read()).toMatch(/old|value-2/);
    await swap(3);
  });

  it("ends on the last one of a storm of generations, with no descriptor more", async () => {
    await start();
    const before = await program.ask("require('fs').readdirSync('/proc/self/fd').length");
    for (let generation = 2; generation < 200; generation++) {
      directory.swap({ generation, set: { TOKEN: `value-${String(generation)}` } });
      if (generation % 10 === 0) await read();
    }
    await swap(200);
    expect(directory.receiptOf(program.pid)?.generation).toBe(200n);
    expect(await program.ask("require('fs').readdirSync('/proc/self/fd').length")).toBe(before);
  });
});
