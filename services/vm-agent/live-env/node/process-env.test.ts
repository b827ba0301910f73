import { eventually } from "../../../../test/harness/eventually";
import { startNodeProgram, type NodeProgram } from "../../../../test/harness/node-program";
import { createTestDirectory, type TestDirectory } from "../test-directory";
import { liveEnvironment } from "./live-environment";

let directory: TestDirectory;
let program: NodeProgram;

beforeEach(() => {
  directory = createTestDirectory([{ generation: 1, set: { TOKEN: "old", GONE: "g" } }]);
  program = startNodeProgram(liveEnvironment(directory.path, { TOKEN: "old", GONE: "g" }, 1));
});

afterEach(async () => {
  const ended = await program.end();
  directory.remove();
  expect(ended).toMatchObject({ code: 0, stderr: "" });
});

const ask = (expression: string) => program.ask(expression);
const seen = (expression: string, expected: unknown) =>
  eventually(async () => expect(await ask(expression)).toEqual(expected));

async function rotate(set: Record<string, string>, generation = 2): Promise<void> {
  // It has started: what follows happens to a running program.
  await ask("0");
  directory.swap({ generation, set });
  await seen("process.env.MURMUR_GENERATION", String(generation));
}

describe("the program's own changes of process.env", () => {
  it("stay, and are strings, before and after a swap", async () => {
    await ask("process.env.MINE = 5");
    await ask("process.env.TOKEN = 'mine'");
    await rotate({ TOKEN: "new" });
    await ask("process.env.LATE = true");
    expect(await ask("[process.env.MINE, process.env.TOKEN, process.env.LATE]")).toEqual([
      "5",
      "mine",
      "true",
    ]);
  });

  it("end with a delivered value: giving back what was captured is no ownership", async () => {
    await ask("globalThis.captured = process.env.TOKEN; process.env.TOKEN = 'test'; 0");
    await ask("process.env.TOKEN = captured");
    await rotate({ TOKEN: "new" });
    expect(await ask("process.env.TOKEN")).toBe("new");
  });

  it("leave a name that it deleted deleted", async () => {
    await ask("delete process.env.TOKEN");
    await rotate({ TOKEN: "new" });
    expect(await ask("'TOKEN' in process.env")).toBe(false);
  });

  it("put an object in its place for good, until ours is given back", async () => {
    await ask("globalThis.real = process.env; process.env = { TOKEN: 'fake', N: 1 }; 0");
    directory.swap({ generation: 2, set: { TOKEN: "new" } });
    expect(await ask("[process.env.TOKEN, process.env.N]")).toEqual(["fake", 1]);
    expect(directory.receiptOf(program.pid)).toMatchObject({ generation: 1n, readsThrough: false });
    await ask("process.env = real; 0");
    await seen("process.env.TOKEN", "new");
    expect(directory.receiptOf(program.pid)).toMatchObject({ generation: 2n, readsThrough: true });
  });

  it("define, stub and restore the property itself", async () => {
    await ask("globalThis.property = Object.getOwnPropertyDescriptor(process, 'env'); 0");
    await ask(
      "Object.defineProperty(process, 'env', { value: { A: '1' }, configurable: true }); 0",
    );
    expect(await ask("process.env")).toEqual({ A: "1" });
    await ask("Object.defineProperty(process, 'env', property); 0");
    await rotate({ TOKEN: "new" });
    expect(await ask("process.env.TOKEN")).toBe("new");
  });

  it("of an object made from process do not touch process", async () => {
    await ask("globalThis.derived = Object.create(process); derived.env = { A: '1' }; 0");
    expect(await ask("[derived.env, process.env.TOKEN]")).toEqual([{ A: "1" }, "old"]);
  });

  it("that take the marker away make us leave everything alone", async () => {
    await ask("delete process.env.MURMUR_GENERATION");
    directory.swap({ generation: 2, set: { TOKEN: "new" } });
    await eventually(async () => {
      expect(await ask("process.env.TOKEN")).toBe("old");
      expect(directory.receiptOf(program.pid)?.readsThrough).toBe(false);
    });
  });
});

describe("names of the daemon's own", () => {
  it("follow the same rule, and the generation is the file's", async () => {
    await ask("process.env.MURMUR_AGENT = 'mine'; process.env.MURMUR_GENERATION = 'mine'; 0");
    const set = { TOKEN: "new", MURMUR_AGENT: "a", MURMUR_WORKSPACE: "w", MURMUR_GENERATION: "2" };
    await rotate(set);
    expect(await ask("[process.env.MURMUR_AGENT, process.env.MURMUR_WORKSPACE]")).toEqual([
      "mine",
      "w",
    ]);
  });
});

describe("an alias of process.env", () => {
  it("sees names that were replaced and removed, once anything read process.env", async () => {
    await ask("globalThis.alias = process.env; 0");
    await rotate({ TOKEN: "new" });
    expect(await ask("[alias.TOKEN, 'GONE' in alias]")).toEqual(["new", false]);
  });
});

describe("a name that appeared while the program runs", () => {
  beforeEach(async () => {
    await ask("globalThis.real = process.env; 0");
    await rotate({ TOKEN: "new", GONE: "g", FRESH: "f" });
  });

  it("is in process.env for every way of looking", async () => {
    const ways = [
      "process.env.FRESH === 'f'",
      "'FRESH' in process.env",
      "Object.keys(process.env).filter((name) => name === 'FRESH').length === 1",
      "({ ...process.env }).FRESH === 'f'",
      "Object.entries(process.env).some(([n, v]) => n === 'FRESH' && v === 'f')",
      "(() => { for (const n in process.env) if (n === 'FRESH') return true; })()",
      "process.env.hasOwnProperty('FRESH') && Object.hasOwn(process.env, 'FRESH')",
      "Object.getOwnPropertyDescriptor(process.env, 'FRESH').writable",
      "JSON.parse(JSON.stringify(process.env)).FRESH === 'f'",
      "require('util').inspect(process.env).includes('FRESH')",
      "({ MURMUR_GENERATION: g } = process.env, g === '2')",
      "process.env === process.env",
    ];
    for (const way of ways) expect([way, await ask(way)]).toEqual([way, true]);
  });

  it("is given to children, however they are started", async () => {
    const child = `[process.execPath, ["-p", "process.env.FRESH + process.env.MURMUR_GENERATION"]]`;
    const cp = `require("child_process")`;
    expect(await ask(`String(${cp}.execFileSync(...${child}))`)).toBe("f2\n");
    expect(await ask(`String(${cp}.spawnSync(...${child}).stdout)`)).toBe("f2\n");
    expect(await ask(`String(${cp}.execSync("echo $FRESH"))`)).toBe("f\n");
    const withOwn = `{ env: { ...process.env, MORE: "m" } }`;
    expect(await ask(`String(${cp}.execSync("echo $FRESH$MORE", ${withOwn}))`)).toBe("fm\n");
  });

  it("is replaced, overwritten and removed as any other", async () => {
    await rotate({ TOKEN: "new", GONE: "g", FRESH: "f3" }, 3);
    expect(await ask("process.env.FRESH")).toBe("f3");
    await ask("process.env.FRESH = 'mine'");
    await rotate({ TOKEN: "new", GONE: "g", FRESH: "f4" }, 4);
    expect(await ask("process.env.FRESH")).toBe("mine");
    expect(await ask("delete process.env.FRESH && 'FRESH' in process.env")).toBe(false);
    await rotate({ TOKEN: "newer", FRESH: "f5" }, 5);
    expect(await ask("[process.env.TOKEN, 'FRESH' in process.env]")).toEqual(["newer", false]);
  });

  it("vanishes again with a later generation", async () => {
    await rotate({ TOKEN: "new" }, 3);
    expect(await ask("['FRESH' in process.env, 'GONE' in process.env]")).toEqual([false, false]);
    expect(await ask("Object.keys(process.env).includes('FRESH')")).toBe(false);
  });

  it("leaves process.env as strict as it was", async () => {
    await expect(ask("process.env[Symbol('s')] = 1")).rejects.toThrow(/Symbol/);
    await expect(ask("Object.freeze(process.env)")).rejects.toThrow(/Cannot/);
    const getter = "Object.defineProperty(process.env, 'X', { get: () => 1 })";
    await expect(ask(getter)).rejects.toThrow(/accessor/);
    await ask("process.env.NUMBER = 7");
    expect(await ask("[process.env.NUMBER, process.env.NOTHING === undefined]")).toEqual([
      "7",
      true,
    ]);
    expect(await ask("typeof process.env.toString")).toBe("function");
  });

  it("is not in the native block, which stays on the generation that it has", async () => {
    expect(await ask("['FRESH' in real, real.MURMUR_GENERATION]")).toEqual([false, "1"]);
    expect(directory.receiptOf(program.pid)).toMatchObject({
      generation: 2n,
      notAppliedNatively: true,
    });
  });
});
