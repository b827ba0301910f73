import { existsSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { runNode } from "../../../../test/harness/node-program";
import { createTestDirectory, type TestDirectory } from "../test-directory";
import { liveEnvironment } from "./live-environment";

let directory: TestDirectory;
let cwd: string;

beforeEach(() => {
  directory = createTestDirectory([
    { generation: 1, set: { TOKEN: "old" } },
    { generation: 2, set: { TOKEN: "new" } },
  ]);
  cwd = join(dirname(directory.path), "project");
  mkdirSync(cwd);
});
afterEach(() => directory.remove());

const file = (name: string, text: string) => writeFileSync(join(cwd, name), text);
const environment = () => liveEnvironment(directory.path, { TOKEN: "old", HOME: cwd }, 1);
const run = (args: readonly string[], env: NodeJS.ProcessEnv = environment(), node?: string) =>
  runNode(args, env, node === undefined ? { cwd } : { cwd, node });

const PRINT = "console.log(process.env.TOKEN)";

describe("a Node program of every kind has the present value", () => {
  it.each<[string, string[]]>([
    ["-e", ["-e", PRINT]],
    ["-p", ["-p", "process.env.TOKEN"]],
    ["a CommonJS file", ["program.cjs"]],
    ["an ES module", ["program.mjs"]],
    ["a module of its own from the command line", ["--input-type=module", "-e", PRINT]],
    ["with source maps", ["--enable-source-maps", "program.cjs"]],
    ["without a JIT", ["--jitless", "--no-expose-wasm", "program.cjs"]],
    ["with warnings and deprecations as errors", ["--throw-deprecation", "program.cjs"]],
    ["with checked unhandled rejections", ["--unhandled-rejections=strict", "program.cjs"]],
  ])("%s", async (_, args) => {
    file("program.cjs", PRINT);
    file("program.mjs", `import { env } from "node:process"; console.log(env.TOKEN);`);
    expect(await run(args)).toEqual({ code: 0, stdout: "new\n", stderr: "" });
  });

  it("node --test", async () => {
    file(
      "some.test.mjs",
      `import test from "node:test"; import assert from "node:assert";
       test("has it", () => assert.equal(process.env.TOKEN, "new"));`,
    );
    const { code, stdout } = await run(["--test"]);
    expect(stdout).toMatch(/pass 1\n/);
    expect(code).toBe(0);
  });

  it("node --test with coverage, of which nothing of ours is a part", async () => {
    file(
      "some.test.mjs",
      `import test from "node:test"; import assert from "node:assert";
       test("has it", () => assert.equal(process.env.TOKEN, "new"));`,
    );
    const { code, stdout } = await run(["--test", "--experimental-test-coverage"]);
    expect(stdout).toMatch(/all files +\| 100\.00 \| +100\.00 \| +100\.00/);
    expect(code).toBe(0);
  });

  it("in an interactive session, and from standard input", async () => {
    const echo = `echo "process.env.TOKEN" | "${process.execPath}" -i`;
    const shell = `require("child_process").execSync(${JSON.stringify(echo)}) + ""`;
    expect((await run(["-p", shell])).stdout).toContain("> 'new'");
    const piped = `echo "${PRINT}" | "${process.execPath}"`;
    const viaPipe = `require("child_process").execSync(${JSON.stringify(piped)}) + ""`;
    expect((await run(["-p", viaPipe])).stdout).toContain("new\n");
  });

  it("from a start-up snapshot, which holds nothing of ours", async () => {
    file("snapshot.cjs", "globalThis.built = process.env.TOKEN");
    const build = ["--snapshot-blob", "blob", "--build-snapshot", "snapshot.cjs"];
    expect(await run(build)).toEqual({ code: 0, stdout: "", stderr: "" });
    file("program.cjs", PRINT);
    const ended = await run(["--snapshot-blob", "blob", "program.cjs"]);
    expect(ended).toEqual({ code: 0, stdout: "new\n", stderr: "" });
    file("program.cjs", "console.log(process.env.TOKEN, process[Symbol.for('murmur.live-env')])");
    const elsewhere = await run(["--snapshot-blob", "blob", "program.cjs"], { TOKEN: "theirs" });
    expect(elsewhere).toEqual({ code: 0, stdout: "theirs undefined\n", stderr: "" });
  });

  it("npm run and npx, and what they start", async () => {
    file("package.json", JSON.stringify({ name: "p", scripts: { show: "node program.cjs" } }));
    file("program.cjs", PRINT);
    const npm = join(dirname(process.execPath), "npm");
    const quiet = { ...environment(), npm_config_update_notifier: "false" };
    const { code, stdout } = await run([npm, "run", "--silent", "show"], quiet);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "new\n" });
    const npx = join(dirname(process.execPath), "npx");
    const shown = await run([npx, "-c", "node program.cjs"], quiet);
    expect({ code: shown.code, stdout: shown.stdout }).toEqual({ code: 0, stdout: "new\n" });
  });

  it("by a path that holds a space", async () => {
    const live = join(dirname(directory.path), "live dir");
    symlinkSync(dirname(__dirname), live);
    const NODE_OPTIONS = `--require "${live}/node/preload.cjs"`;
    expect(await run(["-p", "process.env.TOKEN"], { ...environment(), NODE_OPTIONS })).toEqual({
      code: 0,
      stdout: "new\n",
      stderr: "",
    });
  });

  it("beside the program's own preload, in either order", async () => {
    file("own.cjs", "globalThis.own = process.env.TOKEN");
    const { NODE_OPTIONS } = environment();
    for (const chained of [`${NODE_OPTIONS} -r ./own.cjs`, `-r ./own.cjs ${NODE_OPTIONS}`]) {
      const env = { ...environment(), NODE_OPTIONS: chained };
      const { stdout } = await run(["-p", "typeof own + process.env.TOKEN"], env);
      expect(stdout).toBe("stringnew\n");
    }
    const twice = { ...environment(), NODE_OPTIONS: `${NODE_OPTIONS} ${NODE_OPTIONS}` };
    expect((await run(["-p", "process.env.TOKEN"], twice)).stdout).toBe("new\n");
  });
});

describe("how a program ends stays as it was", () => {
  it.each<[string, number | null, string]>([
    ["by its code", 3, "process.exit(3)"],
    ["by exitCode", 4, "process.exitCode = 4"],
    ["by an error", 1, "throw new Error('x')"],
    ["by a rejection", 1, "Promise.reject(new Error('x'))"],
    ["by a signal", null, "process.kill(process.pid, 'SIGTERM'); setInterval(() => {}, 1000)"],
    ["at once when nothing is left to do", 0, "process.on('murmur:rotated', () => {})"],
  ])("%s", async (_, expected, program) => {
    const plain = await run(["-e", program], { PATH: environment()["PATH"] });
    const live = await run(["-e", program]);
    expect(live.code).toBe(expected);
    expect(live).toEqual(plain);
  });
});

describe("nothing happens, and nothing is printed", () => {
  const DESCRIPTOR = "('value' in Object.getOwnPropertyDescriptor(process, 'env'))";
  const untouched = async (env: NodeJS.ProcessEnv, args: string[] = []) => {
    const ended = await run([...args, "-p", `process.env.TOKEN + ${DESCRIPTOR}`], env);
    expect(ended).toEqual({ code: 0, stdout: "oldtrue\n", stderr: "" });
    expect(existsSync(directory.path) ? directory.receipts() : []).toEqual([]);
  };
  const without = (name: string) => {
    const { [name]: _, ...rest } = environment();
    return rest;
  };

  it("when the layer is off", () => untouched({ ...environment(), MURMUR_LIVE: "exec,python" }));
  it.each(["MURMUR_DIR", "MURMUR_GENERATION", "MURMUR_LIVE"])("without %s", (name) =>
    untouched(without(name)),
  );
  it.each(["", "x", "-1", "1e3", "99999999999999999999"])("on the generation %j", (generation) =>
    untouched({ ...environment(), MURMUR_GENERATION: generation }),
  );
  it("when the agent's directory is gone", () => {
    directory.remove();
    mkdirSync(cwd, { recursive: true });
    return untouched(environment());
  });

  it("for a file that is cut short anywhere, or garbled", async () => {
    const other = join(directory.path, "..broken");
    mkdirSync(other);
    // In one program, for speed: the preload is loaded anew for each.
    file(
      "each.cjs",
      `const fs = require("fs");
       const whole = fs.readFileSync(${JSON.stringify(join(directory.path, "..data", "live"))});
       const { dueEntries, readLive } = require(${JSON.stringify(join(__dirname, "preload.cjs"))});
       const path = ${JSON.stringify(join(other, "live"))};
       let accepted = 0;
       const attempt = (bytes) => {
         fs.writeFileSync(path, bytes);
         try { const file = readLive(path); if (file && dueEntries(file, () => true)) accepted++; } catch {}
       };
       for (let length = 0; length < whole.length; length++) attempt(whole.subarray(0, length));
       for (const at of [0, 32, 36, 40, 45, 46, 48]) {
         const garbled = Buffer.from(whole);
         garbled.fill(0xff, at, at + 4);
         attempt(garbled);
       }
       attempt(whole);
       console.log(accepted);`,
    );
    const { stdout, stderr } = await run(["each.cjs"]);
    expect({ stdout, stderr }).toEqual({ stdout: "1\n", stderr: "" });
  });

  it("under the permission model without the right to read the agent's directory", async () => {
    const flag = process.allowedNodeEnvironmentFlags.has("--permission") ? "" : "experimental-";
    const args = ["--no-warnings", `--${flag}permission`, `--allow-fs-read=${__dirname}/*`];
    await untouched(environment(), args);
  });
});
