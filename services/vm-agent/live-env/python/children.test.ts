import { eventually } from "../../../../test/harness/eventually";
import { createTestDirectory, type TestDirectory } from "../test-directory";
import { supportedPythons, start, type PythonProgram } from "./python-program";

const OLD = { TOKEN: "old", GONE: "g" };
const NEW = { TOKEN: "new", ADDED: "a" };
const PRINTENV = "['/usr/bin/printenv', 'TOKEN', 'ADDED']";

const pythons = supportedPythons();

describe.each(pythons)("children of Python $version", (python) => {
  let directory: TestDirectory;
  let program: PythonProgram;

  beforeEach(async () => {
    directory = createTestDirectory([{ generation: 1, set: OLD }]);
    program = start(python, { directory: directory.path, generation: 1, block: OLD });
    await program.step("import subprocess, threading, time; result = 1");
  });
  afterEach(async () => {
    expect(await program.end()).toBe(0);
    expect(program.stderr()).toBe("");
    directory.remove();
  });
  const swap = () => directory.swap({ generation: 2, set: NEW });

  it.each([
    [`subprocess.check_output(${PRINTENV}).decode()`],
    [`subprocess.check_output(${PRINTENV}, env={**os.environ}).decode()`],
    [`subprocess.check_output(${PRINTENV}, env=os.environ).decode()`],
    [`subprocess.check_output(${PRINTENV}, close_fds=False).decode()`],
    [`subprocess.check_output(${PRINTENV}, preexec_fn=lambda: None).decode()`],
    ["subprocess.check_output('printenv TOKEN ADDED', shell=True).decode()"],
    ["os.popen('printenv TOKEN ADDED').read()"],
  ])("%s gets the generation in force", async (expression) => {
    swap();
    expect(await program.step(`result = ${expression}`)).toBe("new\na\n");
  });

  it.each([
    ["os.system('printenv TOKEN ADDED >&%d' % w)"],
    ["os.spawnv(os.P_WAIT, '/bin/sh', ['sh', '-c', 'printenv TOKEN ADDED >&%d' % w])"],
    [
      `os.waitpid(os.posix_spawn('/bin/sh', ['sh', '-c', 'printenv TOKEN ADDED >&%d' % w], os.environ), 0)
  if hasattr(os, 'posix_spawn') else os.write(w, b"new\\na\\n")`,
    ],
    [
      "os.fork() and os.wait() or os.execv('/bin/sh', ['sh', '-c', 'printenv TOKEN ADDED >&%d' % w])",
    ],
  ])("%s gets the generation in force", async (expression) => {
    swap();
    const seen = await program.step(`
r, w = os.pipe()
os.set_inheritable(w, True)
(${expression})
os.close(w)
with open(r) as pipe: result = pipe.read()`);
    expect(seen).toBe("new\na\n");
  });

  it("gives names that it may not add natively to children, and says so", async () => {
    await program.step(`
done = threading.Event()
thread = threading.Thread(target=done.wait, daemon=True)
thread.start()`);
    swap();
    const seen = await program.step(`
import ctypes
libc = ctypes.CDLL(None)
libc.getenv.restype = ctypes.c_char_p
native = lambda: [(libc.getenv(n) or b"-").decode() for n in (b"TOKEN", b"ADDED", b"MURMUR_GENERATION")]
result = [os.environ["ADDED"], subprocess.check_output(${PRINTENV}).decode(), native()]`);
    // The native generation stays behind, so that a layer of a native child adds the name.
    expect(seen).toEqual(["a", "new\na\n", ["new", "-", "1"]]);
    expect(directory.receiptOf(program.pid)).toMatchObject({
      generation: 2n,
      notAppliedNatively: true,
    });
    // A thread that was joined may still be there for the kernel.
    await program.step(`
import time
done.set(); thread.join()
end = time.time() + 10
while len(os.listdir("/proc/self/task")) > 1 and time.time() < end: time.sleep(0.01)`);
    directory.swap({ generation: 3, set: { ...NEW, TOKEN: "third" } });
    expect(await program.step("os.environ['TOKEN']; result = native()")).toEqual([
      "third",
      "a",
      "3",
    ]);
    expect(directory.receiptOf(program.pid)).toMatchObject({
      generation: 3n,
      notAppliedNatively: false,
    });
  });

  it("survives threads that read natively while names are replaced, added and removed", async () => {
    await program.step(`
import ctypes
libc = ctypes.CDLL(None)
stop = False
def read():
    while not stop:
        libc.getenv(b"TOKEN"), libc.getenv(b"NOT_THERE"), os.environ.get("TOKEN"), dict(os.environ)
threads = [threading.Thread(target=read, daemon=True) for _ in range(3)]
for thread in threads: thread.start()`);
    for (let generation = 2; generation < 40; generation++) {
      const added = Object.fromEntries(
        Array.from({ length: generation % 7 }, (_, i) => [`ADDED_${generation}_${i}`, "a"]),
      );
      directory.swap({ generation, set: { TOKEN: `value ${generation}`, ...added } });
    }
    await program.step("stop = True\nfor thread in threads: thread.join()");
    expect(await program.step("result = os.environ['TOKEN']")).toBe("value 39");
  });

  it("leaves receipts for itself and for what it forks, and none for what it becomes", async () => {
    expect(directory.receiptOf(program.pid)).toMatchObject({
      layer: 4,
      generation: 1n,
      readsThrough: true,
      notAppliedNatively: false,
      generationBefore: 0n,
    });
    swap();
    await program.step("os.environ['TOKEN']");
    expect(directory.receiptOf(program.pid)).toMatchObject({
      generation: 2n,
      generationBefore: 1n,
    });
    const [forked, became, prepared] = (await program.step(`
r, w = os.pipe()
forked = os.fork()
if not forked:
    os.read(r, 1)
    os._exit(0)
became = os.fork()
if not became: os.execvp("sleep", ["sleep", "60"])
prepared = subprocess.Popen(["/bin/sleep", "60"], preexec_fn=lambda: None)
result = [forked, became, prepared.pid]`)) as [number, number, number];
    const becameIt = "open('/proc/%d/comm' % became).read()";
    for (let name: unknown = ""; name !== "sleep\n";)
      name = await program.step(`time.sleep(0.01); result = ${becameIt}`);
    const stat = "open('/proc/%d/stat' % forked).read().rsplit(')', 1)[1].split()[19]";
    const ticks = await program.step(`result = ${stat}`);
    await eventually(() => {
      expect(directory.receiptOf(forked)).toMatchObject({
        generation: 2n,
        startTicks: BigInt(String(ticks)),
      });
    });
    expect(directory.receiptOf(became)).toBeUndefined();
    expect(directory.receiptOf(prepared)).toBeUndefined();
    await program.step(`
os.write(w, b"x")
os.waitpid(forked, 0)
os.kill(became, 9)
os.waitpid(became, 0)
prepared.kill()
prepared.wait()`);
  });

  it("leaves a receipt again when an exec fails", async () => {
    await program.step(`
try:
    os.execv("/nowhere", ["nowhere"])
except OSError:
    pass`);
    await program.step("os.environ.get('TOKEN')");
    expect(directory.receiptOf(program.pid)).toMatchObject({ generation: 1n });
  });
});
