import { createTestDirectory, type TestDirectory } from "../test-directory";
import { supportedPythons, minorOf, start, type PythonProgram } from "./python-program";

const OLD = { TOKEN: "old", GONE: "g" };
const NEW = { TOKEN: "new", ADDED: "a" };

describe.each(supportedPythons())("os.environ of Python $version", (python) => {
  let directory: TestDirectory;
  let program: PythonProgram;

  beforeEach(() => {
    directory = createTestDirectory([{ generation: 1, set: OLD }]);
    program = start(python, { directory: directory.path, generation: 1, block: OLD });
  });
  afterEach(async () => {
    expect(await program.end()).toBe(0);
    expect(program.stderr()).toBe("");
    directory.remove();
  });
  const swap = () => directory.swap({ generation: 2, set: NEW });

  it.each([
    ["os.environ['TOKEN']", "new"],
    ["os.getenv('TOKEN')", "new"],
    ["os.environb[b'TOKEN'].decode()", "new"],
    ["os.environ.copy()['TOKEN']", "new"],
    ["dict(os.environ)['TOKEN']", "new"],
    ["{**os.environ}['TOKEN']", "new"],
    ["dict(os.environ.items())['TOKEN']", "new"],
    ["'new' in os.environ.values()", true],
    ["'ADDED' in os.environ", true],
    ["'ADDED' in list(os.environ)", true],
    ["'GONE' in os.environ", false],
    ["os.environ.get('GONE', 'none')", "none"],
    ["os.environ.setdefault('TOKEN', 'mine')", "new"],
    ["os.environ.pop('TOKEN')", "new"],
    ["'new' in repr(os.environ)", true],
    ["__import__('copy').deepcopy(os.environ)['TOKEN'] in ('old', 'new')", true],
    ["os.environ == dict(os.environ)", true],
    ["isinstance(os.environ, os._Environ) and type(os.environ).__name__", "_Environ"],
  ])("answers %s from the generation in force", async (expression, answer) => {
    swap();
    expect(await program.step(`result = ${expression}`)).toBe(answer);
  });

  it("is updated by |= as before", async () => {
    swap();
    const update = minorOf(python) < 9 ? "update(" : "__ior__(";
    const seen = await program.step(`
os.environ.${update}{"MINE": "m"})
result = [os.environ["MINE"], os.environ["TOKEN"]]`);
    expect(seen).toEqual(["m", "new"]);
  });

  it("shows one generation, and no error, to a walk that began before the swap", async () => {
    await program.step(`
import time
items = iter(os.environ.items())
first = next(items)
`);
    swap();
    // Long enough for a value to be read anew: the names of the walk must still all be there.
    const rest = await program.step("time.sleep(0.05); result = dict([first] + list(items))");
    expect(rest).toMatchObject({ GONE: "g" });
    expect(await program.step("result = 'GONE' in dict(os.environ)")).toBe(false);
  });

  it("says what is missing as before", async () => {
    swap();
    const seen = await program.step(`
try:
    os.environ["GONE"]
except KeyError as error:
    result = [repr(error), error.__cause__ is None, error.__suppress_context__]
`);
    expect(seen).toEqual([expect.stringMatching(/^KeyError\('GONE',?\)$/), true, true]);
  });

  it("is right again after mock.patch.dict, whatever was swapped inside", async () => {
    await program.step(`
from unittest import mock
patches = [mock.patch.dict(os.environ, {"TOKEN": "t"}), mock.patch.dict(os.environ, {"TOKEN": "c"}, clear=True)]
patches[0].start()
patches[1].start()`);
    swap();
    expect(await program.step("result = dict(os.environ)")).toEqual({ TOKEN: "c" });
    expect(await program.step("patches[1].stop(); result = os.environ['TOKEN']")).toBe("t");
    const outside = await program.step(
      "patches[0].stop(); result = [os.environ.get(n) for n in ('TOKEN', 'ADDED', 'GONE')]",
    );
    expect(outside).toEqual(["new", "a", null]);
    const child = "__import__('subprocess').check_output(['/usr/bin/printenv', 'TOKEN', 'ADDED'])";
    expect(await program.step(`result = ${child}.decode()`)).toBe("new\na\n");
  });

  it("keeps what the program sets and removes", async () => {
    await program.step("os.environ['TOKEN'] = 'mine'; del os.environ['GONE']");
    swap();
    const seen = await program.step("result = [os.environ['TOKEN'], os.environ['ADDED']]");
    expect(seen).toEqual(["mine", "a"]);
    directory.swap({ generation: 3, set: { ...NEW, GONE: "again" } });
    await program.step("os.environ['TOKEN'] = 'old'; del os.environ['ADDED']");
    const after = await program.step(
      "result = [os.environ.get(n) for n in ('TOKEN', 'ADDED', 'GONE')]",
    );
    expect(after).toEqual(["new", null, "again"]);
  });

  it("keeps its values when the directory goes, and when the file is cut off", async () => {
    swap();
    await program.step("result = os.environ['TOKEN']");
    await program.step(`
d = os.environ["MURMUR_DIR"]
live = os.path.join(d, "..data", "live")
os.chmod(live, 0o600)
content = open(live, "rb")
whole = content.read()
content.close()
for size in (0, 7, 39, 60, len(whole) - 1):
    os.truncate(live, size)
    with open(os.path.join(d, "page"), "r+b") as page: page.write(bytes([size % 7 + 3]) + bytes(7))
    assert os.environ["TOKEN"] == "new", size
    import murmur_live; murmur_live.live._retry_at = 0
    assert os.environ["TOKEN"] == "new", size
`);
    directory.swap({ generation: 3, set: { TOKEN: "third" } });
    await program.step("murmur_live.live._retry_at = 0");
    expect(await program.step("result = os.environ['TOKEN']")).toBe("third");
    directory.remove();
    expect(await program.step("result = os.environ['TOKEN']")).toBe("third");
    const child = "__import__('subprocess').call(['/bin/true'])";
    expect(await program.step(`result = ${child}`)).toBe(0);
  });

  it("keeps no descriptor and takes no inotify instance, however often it changes", async () => {
    const open = `
def describe():
    found = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink("/proc/self/fd/" + fd))
        except OSError:
            pass
    return found
os.environ["TOKEN"]
result = describe()`;
    const before = (await program.step(open)) as string[];
    for (let generation = 2; generation < 60; generation++) {
      directory.swap({ generation, set: { TOKEN: `value ${generation}` } });
      expect(await program.step("result = os.environ['TOKEN']")).toBe(`value ${generation}`);
    }
    const after = (await program.step(open)) as string[];
    expect(after).toEqual(before);
    expect(after.filter((path) => path.includes("inotify"))).toEqual([]);
  });
});
