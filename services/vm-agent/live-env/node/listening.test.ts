import { readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { eventually } from "../../../../test/harness/eventually";
import { startNodeProgram, type NodeProgram } from "../../../../test/harness/node-program";
import { createTestDirectory, type TestDirectory } from "../test-directory";
import { liveEnvironment } from "./live-environment";

let directory: TestDirectory;
let program: NodeProgram;

const environment = () => liveEnvironment(directory.path, { TOKEN: "old", GONE: "g" }, 1);

beforeEach(() => {
  directory = createTestDirectory([{ generation: 1, set: { TOKEN: "old", GONE: "g" } }]);
  program = startNodeProgram(environment());
});

afterEach(async () => {
  const ended = await program.end();
  directory.remove();
  expect(ended).toMatchObject({ code: 0, stderr: "" });
});

const ask = (expression: string) => program.ask(expression);
const heard = (expected: unknown) =>
  eventually(async () => expect(await ask("globalThis.heard")).toEqual(expected));
const LISTEN =
  "globalThis.heard = []; globalThis.hear = (e) => heard.push(e); process.on('murmur:rotated', hear); 0";

const fdsOf = (pid: number) =>
  readdirSync(`/proc/${String(pid)}/fd`).map((fd) => {
    const path = `/proc/${String(pid)}/fd/${fd}`;
    return { fd, to: readlinkSync(path) };
  });
const inotifies = (pid: number) => fdsOf(pid).filter(({ to }) => to.includes("inotify"));
const watches = (pid: number) =>
  inotifies(pid).flatMap(
    ({ fd }) =>
      readFileSync(`/proc/${String(pid)}/fdinfo/${fd}`, "utf8").match(/^inotify /gm) ?? [],
  );

describe("a program that listens", () => {
  it("is told the names of what changed, never a value, without reading anything", async () => {
    await ask(LISTEN);
    const swappedNs = BigInt(Date.now() + 1) * 1_000_000n;
    await eventually(() => expect(BigInt(Date.now()) * 1_000_000n).toBeGreaterThan(swappedNs));
    writeFileSync(join(directory.path, "page"), "noise");
    for (let i = 0; i < 3; i++) await ask("0");
    directory.swap({ generation: 2, set: { TOKEN: "new", FRESH: "f" } });
    await heard([{ generation: 2, changed: ["FRESH", "GONE", "TOKEN"] }]);
    const receipt = directory.receiptOf(program.pid)!;
    expect(receipt.generation).toBe(2n);
    // A look that the watch caused is no read of the program.
    expect(receipt.lastReadOfBeforeNs).toBeLessThan(swappedNs);
    expect(await ask("process.env.TOKEN")).toBe("new");
  });

  it("is not told of a generation that changed nothing", async () => {
    await ask(LISTEN);
    directory.swap({ generation: 2, set: { TOKEN: "old", GONE: "g" } });
    directory.swap({ generation: 3, set: { TOKEN: "new", GONE: "g" } });
    await heard([{ generation: 3, changed: ["TOKEN"] }]);
  });

  it("is told once and then not, when it wants that; and again later", async () => {
    await ask("globalThis.heard = []; process.once('murmur:rotated', (e) => heard.push(e)); 0");
    directory.swap({ generation: 2, set: { TOKEN: "2" } });
    await heard([{ generation: 2, changed: ["GONE", "TOKEN"] }]);
    directory.swap({ generation: 3, set: { TOKEN: "3" } });
    expect(await ask("process.env.TOKEN")).toBe("3");
    await ask(LISTEN);
    directory.swap({ generation: 4, set: { TOKEN: "4" } });
    await heard([{ generation: 4, changed: ["TOKEN"] }]);
  });

  it("hears its own listener's error as any other, and stays current", async () => {
    await ask(
      "globalThis.errors = []; process.on('uncaughtException', (e) => errors.push(e.message)); 0",
    );
    await ask("process.on('murmur:rotated', () => { throw new Error('mine'); }); 0");
    directory.swap({ generation: 2, set: { TOKEN: "new" } });
    await eventually(async () => expect(await ask("errors")).toEqual(["mine"]));
    expect(await ask("process.env.TOKEN")).toBe("new");
  });

  it("is told even where the kernel has no watch left", async () => {
    const own = join(dirname(directory.path), "no-watch.cjs");
    writeFileSync(own, "require('fs').watch = () => { throw new Error('ENOSPC'); };");
    const NODE_OPTIONS = `-r "${own}" ${environment()["NODE_OPTIONS"]!}`;
    await program.end();
    program = startNodeProgram({ ...environment(), NODE_OPTIONS });
    await ask(LISTEN);
    expect(inotifies(program.pid)).toEqual([]);
    directory.swap({ generation: 2, set: { TOKEN: "new", GONE: "g" } });
    await heard([{ generation: 2, changed: ["TOKEN"] }]);
    await ask("process.off('murmur:rotated', hear); 0");
  });
});

describe("what the kernel lends", () => {
  it("is nothing without a listener: no watch, no descriptor, also after a swap", async () => {
    const plain = startNodeProgram({ PATH: environment()["PATH"] });
    await plain.ask("0");
    await ask("process.env.TOKEN");
    directory.swap({ generation: 2, set: { TOKEN: "new" } });
    await eventually(async () => expect(await ask("process.env.TOKEN")).toBe("new"));
    expect(inotifies(program.pid)).toEqual([]);
    expect(fdsOf(program.pid)).toHaveLength(fdsOf(plain.pid).length);
    await plain.end();
  });

  it("is one watch with listeners, and none when the last one is gone", async () => {
    await ask(`${LISTEN}; process.on('murmur:rotated', console.error); 0`);
    expect(watches(program.pid)).toHaveLength(1);
    await ask("process.off('murmur:rotated', console.error); 0");
    expect(watches(program.pid)).toHaveLength(1);
    await ask("process.removeAllListeners('murmur:rotated'); 0");
    await eventually(() => expect(watches(program.pid)).toHaveLength(0));
    await ask(LISTEN);
    expect(watches(program.pid)).toHaveLength(1);
  });
});
