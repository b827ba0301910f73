import { readFileSync } from "node:fs";
import fc from "fast-check";
import { eventually } from "../../../test/harness/eventually";
import { type Supervisor } from "./supervisor";
import { createTestVm, type TestVm } from "./test-vm";

let vm: TestVm;
let supervisor: Supervisor;
beforeEach(() => {
  vm = createTestVm();
  supervisor = vm.supervisor();
});
afterEach(() => vm.close());

/** Runs an agent to its end and gives what it wrote. */
async function run(argv: readonly string[], envFile = ""): Promise<string> {
  const request = vm.request({ argv }, envFile);
  await supervisor.spawn(request);
  await eventually(() => expect(supervisor.get(request.agentId)?.phase).not.toBe("running"));
  return readFileSync(vm.output(request.agentId), "utf8");
}

test("every argument arrives byte for byte, whatever is in it", async () => {
  const nasty = fc.constantFrom(
    "'",
    '"',
    "$x",
    "`id`",
    "\\",
    "\n",
    "\t",
    " ",
    "*",
    "-n",
    "--",
    "%s",
    "=",
    "#",
    "!",
    "é",
    "😀",
    "",
  );
  const argument = fc.oneof(
    fc.array(nasty, { maxLength: 8 }).map((parts) => parts.join("")),
    fc.string({ unit: "grapheme" }).map((text) => text.replaceAll("\0", "")),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(argument, { minLength: 1, maxLength: 6 }), async (wanted) => {
      const output = await run(["/usr/bin/printf", "%s\\0", ...wanted]);
      expect(output.split("\0").slice(0, -1)).toEqual(wanted);
    }),
    { numRuns: 40 },
  );
});

test("an argument of 100 KB, and 1,000 of them, arrive whole", async () => {
  const long = "x".repeat(100_000);
  expect(await run(["/usr/bin/printf", "%s", long])).toBe(long);
  const many = Array.from({ length: 1_000 }, (_, index) => String(index));
  expect(await run(["/usr/bin/printf", "%s ", ...many])).toBe(`${many.join(" ")} `);
});

test.each([
  ["a NUL", { argv: ["echo", "a\0b"] }, "argv must be UTF-8 without NUL"],
  ["half a character", { argv: ["echo", "\ud800"] }, "argv must be UTF-8 without NUL"],
  ["no command", { argv: [] }, "argv must name a command"],
  ["an empty command", { argv: ["", "x"] }, "argv must name a command"],
  ["an option for a command", { argv: ["-c", "x"] }, "argv must not begin with an option"],
  ["too much", { argv: ["echo", "x".repeat(131_072)] }, "argv exceeds 131072 bytes"],
  ["a relative directory", { argv: ["pwd"], cwd: "tmp" }, "cwd must be an absolute path"],
  [
    "a user that is none",
    { argv: ["id"], user: { uid: -1, gid: 0 } },
    "user must be numbers from 0 up",
  ],
])("%s is refused by name, and nothing is started", async (_, wanted, message) => {
  const request = vm.request({ argv: wanted.argv });
  await expect(supervisor.spawn({ ...request, ...wanted })).rejects.toMatchObject({
    ...{ code: "INVALID_ARGUMENT", message },
  });
  expect(supervisor.list()).toEqual([]);
});

test("an agent id cannot lead out of the state directory", async () => {
  for (const agentId of ["../x", "a/b", ".", "..", "", ".x", "a".repeat(65)]) {
    const request = { ...vm.request({ argv: ["true"] }), agentId };
    await expect(supervisor.spawn(request)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  }
});

test("a command that is not there ends with 127, one that may not run with 126, and says so", async () => {
  expect(await run(["/nowhere/at/all"])).toMatch(/not found/);
  expect(await run(["/etc/passwd"])).toMatch(/denied/);
  expect(supervisor.list().map(({ exit }) => exit)).toEqual([
    { kind: "code", code: 127 },
    { kind: "code", code: 126 },
  ]);
});

test("an agent whose env file is missing is not run without it", async () => {
  const request = { ...vm.request({ argv: ["echo", "ran"] }), envDir: `${vm.directory}/nowhere` };
  await supervisor.spawn(request);
  await eventually(() =>
    expect(supervisor.get(request.agentId)?.exit).toEqual({ kind: "code", code: 126 }),
  );
  expect(readFileSync(vm.output(request.agentId), "utf8")).toBe(
    "murmur: the agent's environment file cannot be read\n",
  );
});

test("the agent's signals are the default ones, and its input is empty", async () => {
  const script = "grep -E '^Sig(Ign|Blk)' /proc/self/status; cat; umask";
  expect(await run(["bash", "-c", `exec sh -c ${JSON.stringify(script)}`])).toBe(
    "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n0022\n",
  );
});
