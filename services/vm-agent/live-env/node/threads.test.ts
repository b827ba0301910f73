import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { eventually } from "../../../../test/harness/eventually";
import { startNodeProgram, type NodeProgram } from "../../../../test/harness/node-program";
import { createTestDirectory, type TestDirectory } from "../test-directory";
import { liveEnvironment } from "./live-environment";

let directory: TestDirectory;
let program: NodeProgram;

beforeEach(() => {
  directory = createTestDirectory([{ generation: 1, set: { TOKEN: "old" } }]);
  program = startNodeProgram(liveEnvironment(directory.path, { TOKEN: "old" }, 1));
});

afterEach(async () => {
  const ended = await program.end();
  directory.remove();
  expect(ended).toMatchObject({ code: 0, stderr: "" });
});

const swap = () => directory.swap({ generation: 2, set: { TOKEN: "new", FRESH: "f" } });
const SHOW = "[process.env.TOKEN, process.env.FRESH ?? null, process.env.MURMUR_GENERATION]";
const BEFORE = ["old", null, "1"];
const AFTER = ["new", "f", "2"];

const WORKER = JSON.stringify(
  `const { parentPort } = require("worker_threads");
   parentPort.on("message", () => parentPort.postMessage(${SHOW}));`,
);

/** Starts a worker thread in the program, and waits for what it has. */
const startWorker = (options: string) =>
  program.ask(
    `globalThis.worker = new (require("worker_threads").Worker)(${WORKER}, { eval: true, ${options} }); ${ASK_WORKER}`,
  );
const ASK_WORKER =
  "new Promise((resolve) => { worker.once('message', resolve); worker.postMessage(0); })";
const endWorker = () => program.ask("worker.terminate()");

describe("a worker thread", () => {
  it.each([
    ["with a copy of the environment", ""],
    ["that shares it", "env: require('worker_threads').SHARE_ENV"],
    ["that was given all of it", "env: process.env"],
    ["that was given a copy", "env: { ...process.env, MORE: 'm' }"],
  ])("%s follows a swap", async (_, options) => {
    expect(await startWorker(options)).toEqual(BEFORE);
    swap();
    await eventually(async () => expect(await program.ask(ASK_WORKER)).toEqual(AFTER));
    expect(await program.ask(SHOW)).toEqual(AFTER);
    await endWorker();
  });

  it("follows a swap that the program's main thread saw first", async () => {
    expect(await startWorker("env: require('worker_threads').SHARE_ENV")).toEqual(BEFORE);
    swap();
    await eventually(async () => expect(await program.ask(SHOW)).toEqual(AFTER));
    await eventually(async () => expect(await program.ask(ASK_WORKER)).toEqual(AFTER));
    await endWorker();
  });

  it.each([
    ["with a copy", ""],
    ["that shares it", "env: require('worker_threads').SHARE_ENV"],
  ])("%s that starts after the swap has the names that appeared", async (_, options) => {
    await program.ask("0");
    swap();
    await eventually(async () => expect(await program.ask(SHOW)).toEqual(AFTER));
    expect(await startWorker(options)).toEqual(AFTER);
    await endWorker();
  });

  it("with a set of its own keeps that", async () => {
    expect(await startWorker("env: { TOKEN: 'old' }")).toEqual(["old", null, null]);
    swap();
    await eventually(async () => expect(await program.ask(SHOW)).toEqual(AFTER));
    expect(await program.ask(ASK_WORKER)).toEqual(["old", null, null]);
    await endWorker();
  });

  it("says nothing for the whole process: the main thread's receipt stands", async () => {
    const busy = JSON.stringify(
      `const { workerData } = require("worker_threads");
       Atomics.wait(workerData, 0, 0);
       while (process.env.TOKEN !== "new");
       Atomics.store(workerData, 1, 1);
       Atomics.notify(workerData, 1);`,
    );
    await program.ask(
      `globalThis.flags = new Int32Array(new SharedArrayBuffer(8)); globalThis.fs = require("fs");
       globalThis.worker = new (require("worker_threads").Worker)(${busy}, { eval: true, workerData: flags });
       new Promise((up) => worker.once("online", () => up(null)))`,
    );
    swap();
    // The main thread waits without looking, and reads what stands in the file then.
    const slot = String((program.pid % 4096) * 64 + 16);
    const generation = await program.ask(
      `Atomics.store(flags, 0, 1); Atomics.notify(flags, 0); Atomics.wait(flags, 1, 0, 20000);
       fs.readFileSync(${JSON.stringify(join(directory.path, "receipts"))}).readUInt32LE(${slot})`,
    );
    expect(generation).toBe(1);
    expect(await program.ask(SHOW)).toEqual(AFTER);
    expect(directory.receiptOf(program.pid)?.generation).toBe(2n);
    expect(directory.receipts()).toHaveLength(1);
  });
});

describe("threads that read the environment", () => {
  // Address look-ups call getenv in the thread pool; the worker reads the very same block.
  it("meet names that come, change and go without a crash", async () => {
    await startWorker("env: require('worker_threads').SHARE_ENV");
    await program.ask(
      `globalThis.busy = true; globalThis.looks = 0; globalThis.dns = require("dns");
       globalThis.again = () => { looks++; process.env.TOKEN; if (busy) dns.lookup("localhost", { all: true }, again); };
       for (let i = 0; i < 4; i++) again(); ${ASK_WORKER}`,
    );
    for (let generation = 2; generation <= 400; generation++) {
      const fresh = { [`FRESH_${String(generation % 7)}`]: "x".repeat(generation) };
      directory.swap({ generation, set: { TOKEN: String(generation), ...fresh } });
      if (generation % 20 === 0) await program.ask(ASK_WORKER);
    }
    await eventually(async () => expect(await program.ask("process.env.TOKEN")).toBe("400"));
    await eventually(async () => expect(await program.ask(ASK_WORKER)).toContain("400"));
    expect(await program.ask("busy = false, looks > 0")).toBe(true);
    expect(
      await program.ask("Object.keys(process.env).filter((name) => name.startsWith('FRESH_'))"),
    ).toEqual(["FRESH_1"]);
    await endWorker();
  });
});

const SERVER = `
require("http")
  .createServer((_, response) => {
    response.setHeader("connection", "close");
    response.end(JSON.stringify({ pid: process.pid, token: process.env.TOKEN }));
  })
  .listen(0, "127.0.0.1");
`;

describe("an HTTP server of two cluster workers", () => {
  it("answers with the new value from the same processes", async () => {
    const file = join(dirname(directory.path), "server.cjs");
    writeFileSync(file, SERVER);
    const port = await program.ask(
      `globalThis.cluster = require("cluster"); cluster.setupPrimary({ exec: ${JSON.stringify(file)} });
       Promise.all([1, 2].map(() => new Promise((up) => cluster.fork().on("listening", (a) => up(a.port))))).then((p) => p[0])`,
    );
    const get = async () => {
      const response = await fetch(`http://127.0.0.1:${String(port)}/`);
      return (await response.json()) as { pid: number; token: string };
    };
    const both = async () => {
      const answers = [await get(), await get(), await get(), await get()];
      expect(new Set(answers.map(({ pid }) => pid)).size).toBe(2);
      return answers;
    };
    const before = await both();
    expect(new Set(before.map(({ token }) => token))).toEqual(new Set(["old"]));
    swap();
    await eventually(async () => {
      const after = await both();
      expect(new Set(after.map(({ token }) => token))).toEqual(new Set(["new"]));
      expect(new Set(after.map(({ pid }) => pid))).toEqual(new Set(before.map(({ pid }) => pid)));
    });
    for (const { pid } of before)
      expect(directory.receiptOf(pid)).toMatchObject({ layer: 3, generation: 2n });
    await program.ask("new Promise((ended) => cluster.disconnect(() => ended(null)))");
  });
});
