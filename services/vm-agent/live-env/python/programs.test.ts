import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { spawn } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { createTestDirectory, type TestDirectory } from "../test-directory";
import {
  environmentOf,
  findPythons,
  supportedPythons,
  run,
  type Python,
  type Surroundings,
} from "./python-program";

const OLD = { TOKEN: "old" };
const NEW = { TOKEN: "new", ADDED: "a" };

const POOLS = `
import multiprocessing, os, sys

def read(_):
    return os.environ.get("TOKEN"), os.environ.get("ADDED")

def main():
    methods = ["fork", "spawn", "forkserver"]
    pools = {}
    for method in methods:
        pools[method] = multiprocessing.get_context(method).Pool(1)
        assert pools[method].map(read, [0]) == [("old", None)], method
    print("ready", flush=True)
    sys.stdin.readline()
    for method, pool in pools.items():
        print(method, *pool.map(read, [0])[0], flush=True)
        pool.close()
        pool.join()
    for method in methods:
        pool = multiprocessing.get_context(method).Pool(1)
        print("new", method, *pool.map(read, [0])[0], flush=True)
        pool.close()
        pool.join()

if __name__ == "__main__":
    main()
`;

const SERVICE = `
import asyncio, concurrent.futures, os

def work():
    return os.getpid(), os.environ["TOKEN"]

def link(fd):
    try:
        return os.readlink("/proc/self/fd/" + fd)
    except OSError:
        return ""

async def main():
    import murmur_env
    loop = asyncio.get_event_loop()
    pool = concurrent.futures.ProcessPoolExecutor(1)
    print(os.getpid(), os.environ["TOKEN"], *await loop.run_in_executor(pool, work), flush=True)
    async with murmur_env.watch() as changes:
        print("listening", flush=True)
        async for generation, names in changes:
            print(generation, *names, flush=True)
            print(os.getpid(), os.environ["TOKEN"], *await loop.run_in_executor(pool, work), flush=True)
            if generation == 3:
                break
    pool.shutdown()
    print(len([fd for fd in os.listdir("/proc/self/fd") if "inotify" in link(fd)]), flush=True)

if __name__ == "__main__":
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.run_until_complete(main())
    loop.close()
`;

const pythons = supportedPythons(true);

let directory: TestDirectory;
let files: string;

beforeEach(() => {
  directory = createTestDirectory([{ generation: 1, set: OLD }]);
  files = mkdtempSync(join(tmpdir(), "murmur python-"));
});
afterEach(() => {
  directory.remove();
  rmSync(files, { recursive: true, force: true });
});

const here = (more: Partial<Surroundings> = {}): Surroundings => ({
  directory: directory.path,
  generation: 1,
  block: OLD,
  ...more,
});
const swap = () => directory.swap({ generation: 2, set: NEW });

function write(name: string, content: string): string {
  const path = join(files, name);
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, content);
  return path;
}

/** Runs a program whose output the test reads line by line. */
function talk(python: Python, argv: string[]) {
  const child = spawn(python.path, argv, { env: environmentOf(here()), stdio: "pipe" });
  const errors: Buffer[] = [];
  child.stderr.on("data", (chunk: Buffer) => errors.push(chunk));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const closed = new Promise<number | null>((resolve) => child.once("close", resolve));
  return {
    pid: child.pid ?? 0,
    stderr: () => Buffer.concat(errors).toString(),
    closed,
    say: (line: string) => child.stdin.write(`${line}\n`),
    async line(): Promise<string> {
      const next = await lines.next();
      if (next.done === true) throw new Error(Buffer.concat(errors).toString());
      return next.value;
    },
  };
}

describe.each(pythons)("programs of Python $version", (python) => {
  it("sees new values in the pools that run and in new ones, however they are started", async () => {
    const program = talk(python, [write("pools.py", POOLS)]);
    expect(await program.line()).toBe("ready");
    swap();
    program.say("go");
    const lines = [];
    for (let i = 0; i < 6; i++) lines.push(await program.line());
    // Python 3.12 and later warn of any fork beside the threads that the program's own pools have.
    expect(program.stderr().replace(/.*DeprecationWarning.*\n.*\n/g, "")).toBe("");
    expect(await program.closed).toBe(0);
    const methods = ["fork", "spawn", "forkserver"];
    expect(lines).toEqual([
      ...methods.map((method) => `${method} new a`),
      ...methods.map((method) => `new ${method} new a`),
    ]);
  }, 60_000);

  it("keeps a service and its worker processes, which use the new value when told", async () => {
    const program = talk(python, [write("service.py", SERVICE)]);
    const [pid, first, worker] = (await program.line()).split(" ");
    expect([pid, first]).toEqual([String(program.pid), "old"]);
    expect(await program.line()).toBe("listening");
    swap();
    expect(await program.line()).toBe("2 ADDED TOKEN");
    expect(await program.line()).toBe(`${pid} new ${worker} new`);
    directory.swap({ generation: 3, set: { TOKEN: "third" } });
    expect(await program.line()).toBe("3 ADDED TOKEN");
    expect(await program.line()).toBe(`${pid} third ${worker} third`);
    expect(await program.line()).toBe("0");
    expect(await program.closed).toBe(0);
    expect(program.stderr()).toBe("");
  });

  it("tells callbacks, and survives those that raise", () => {
    const program = write(
      "callbacks.py",
      `
import os, murmur_env
told = []
murmur_env.on_change(lambda *_: 1 / 0)
stop = murmur_env.on_change(lambda generation, names: told.append((generation, names, os.environ["TOKEN"])))
assert murmur_env.generation() == 2, murmur_env.generation()
os.environ["TOKEN"] = "old"
os.environ.get("TOKEN")
stop()
os.environ["TOKEN"] = "old"
os.environ.get("TOKEN")
print(told)`,
    );
    swap();
    expect(run(python, [program], here())).toMatchObject({
      status: 0,
      stdout: "[(2, ['TOKEN'], 'new')]\n",
      stderr: "",
    });
  });

  it.each([
    ["print('out'); raise SystemExit(3)"],
    ["import sys; sys.stderr.write('err'); sys.exit('bye')"],
    ["raise ValueError('mine')"],
    ["import os; os._exit(7)"],
    ["import os; os.kill(os.getpid(), 9)"],
    [
      "import os; print(sorted(k for k in vars(os) if k != 'environ'), type(os.environ), os.environ['TOKEN'])",
    ],
    ["import os, pickle; pickle.dumps(os.environ)"],
    [
      "import sys; print('subprocess' in sys.modules, 'ctypes' in sys.modules, 'importlib.util' in sys.modules)",
    ],
    ["import threading; print(threading.active_count())"],
    ["import atexit, os; atexit.register(lambda: print(os.environ['TOKEN']))"],
    [
      `
import os
class Last:
    environ = os.environ
    def __del__(self): print(self.environ.get("TOKEN"), "NOT_THERE" in self.environ, len(list(self.environ)) > 2)
last = Last()
last.me = last`,
    ],
    [
      `
import os
os.closerange(3, 1000)
kept = [open(os.path.join(os.environ["FILES"], str(n)), "w") for n in range(4)]
for file in kept: file.write("all of it")`,
    ],
  ])("does the same with the layer as without: %s", (source) => {
    const at = here({ block: { ...OLD, FILES: files } });
    const without = run(python, ["-c", source], { ...at, layers: "exec,bash,node" });
    expect(run(python, ["-c", source], at)).toEqual(without);
    const written = run(
      python,
      [
        "-c",
        "import os; print([open(os.path.join(os.environ['FILES'], f)).read() for f in os.listdir(os.environ['FILES'])])",
      ],
      at,
    );
    expect(written.stdout).not.toContain("''");
  });

  it.each([
    [["-I"], "old"],
    [["-E"], "old"],
    [["-S"], "old"],
    [["-s"], "new"],
    [["-O"], "new"],
    [["-B"], "new"],
    [["-W", "error"], "new"],
    [["-W", "error::DeprecationWarning", "-X", "dev"], "new"],
  ])("runs under %s", (options, token) => {
    swap();
    const source = "import os; print(os.environ['TOKEN'])";
    const result = run(python, [...options, "-c", source], here());
    expect(result).toMatchObject({ status: 0, stdout: `${token}\n`, stderr: "" });
  });

  it("does nothing when it is off, and without a marker", () => {
    swap();
    const source = "import os; print(os.environ['TOKEN'], type(os.environ) is os._Environ)";
    for (const at of [here({ layers: "exec,bash,node" }), here({ generation: undefined })])
      expect(run(python, ["-c", source], at).stdout).toBe("old True\n");
    expect(directory.receipts()).toEqual([]);
  });

  it("makes way for the sitecustomize that it hides, with its errors", () => {
    const path = [join(files, "a"), join(files, "b")];
    write("b/sitecustomize.py", "import os; mine = 'chained ' + os.environ['TOKEN']");
    write("b/usercustomize.py", "print('user')");
    const source = "import os, sitecustomize; print(sitecustomize.mine, os.environ['TOKEN'])";
    swap();
    const chained = run(python, ["-c", source], here({ path }));
    expect(chained).toMatchObject({ status: 0, stderr: "" });
    expect(chained.stdout).toMatch(/chained new new\n$/);
    write("b/sitecustomize.py", "raise ValueError('its own')");
    const failing = run(python, ["-c", "import os; print(os.environ['TOKEN'])"], here({ path }));
    const stock = run(python, ["-c", "0"], here({ path, layers: "" }));
    expect(failing.stdout).toMatch(/new\n$/);
    expect(failing.stderr).toContain("ValueError: its own");
    expect(failing.stderr).toBe(stock.stderr);
  });

  it("works in a virtual environment, and under doctest", () => {
    swap();
    expect(run(python, ["-m", "venv", "--without-pip", join(files, "v")], here())).toMatchObject({
      status: 0,
      stderr: "",
    });
    const inside = { ...python, path: join(files, "v", "bin", "python") };
    const source = "import os, sys; print(os.environ['TOKEN'], sys.prefix != sys.base_prefix)";
    expect(run(inside, ["-c", source], here()).stdout).toBe("new True\n");
    const module = write("m.py", '"""\n>>> import os\n>>> os.environ["TOKEN"]\n\'new\'\n"""\n');
    expect(run(python, ["-m", "doctest", module], here())).toMatchObject({ status: 0, stdout: "" });
    expect(run(python, ["-m", "pip", "--version"], here()).stdout).toMatch(/^pip /);
  });

  it("runs wherever the directory lacks something or makes no sense", () => {
    swap();
    const source = "import os; print(os.environ['TOKEN'])";
    const damage: [string, string][] = [
      ["os.truncate(d + '/receipts', 100)", "new"],
      ["os.chmod(d + '/receipts', 0o400)", "new"],
      ["os.remove(d + '/receipts')", "new"],
      ["os.symlink('/dev/null', d + '/receipts')", "new"],
      ["os.truncate(d + '/page', 3)", "old"],
      ["os.remove(d + '/page')", "old"],
      ["os.remove(d + '/..data')", "old"],
    ];
    for (const [statement, token] of damage) {
      const doIt = `import os; d = os.environ["MURMUR_DIR"]; ${statement}`;
      expect(run(python, ["-c", doIt], here({ layers: "" })).status).toBe(0);
      const result = run(python, ["-c", source], here());
      expect(result).toEqual({ status: 0, stdout: `${token}\n`, stderr: "" });
    }
    directory.remove();
    expect(run(python, ["-c", source], here())).toMatchObject({ stdout: "old\n", stderr: "" });
  });
});

it("makes way, silently, in Python 2.7", () => {
  const old = findPythons().find(({ version }) => version === "2.7");
  if (!old) return;
  write("sitecustomize.py", "mine = 'chained'");
  const source = "import os, sitecustomize; print(sitecustomize.mine, os.environ['TOKEN'])";
  const result = run(old, ["-c", source], here({ path: [files] }));
  expect(result).toMatchObject({ status: 0, stdout: "('chained', 'old')\n", stderr: "" });
});
