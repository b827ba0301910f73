import { spawn } from "node:child_process";
import { once } from "node:events";
import fc from "fast-check";
import { eventually } from "../../../test/harness/eventually";
import { isAlive, parseStat, readProcess, readProcessTable, readUid, wasStartedWith } from "./proc";

test("any name a process gives itself is read whole and shifts no field", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.nat(), fc.nat(), (name, parent, start) => {
      const fields = `S ${parent} 7 8 0 -1 4194560 1 0 0 0 2 1 0 0 20 0 3 0 ${start} 0 0 0 1 1 99 0`;
      expect(parseStat(`42 (${name}) ${fields}\n`)).toEqual({
        ...{ pid: 42, name, state: "S", parentPid: parent, group: 7, session: 8 },
        ...{ threads: 3, startTime: start, stackStart: 99 },
      });
    }),
    { examples: [[") R 1 1 1 (", 1, 2]] },
  );
});

test("a name beyond ASCII is read as it was given, and one that the kernel cut in half has no end", async () => {
  const renamed = async (name: string) => {
    const script = 'printf %s "$0" >/proc/$$/comm; echo done; read -r _';
    const child = spawn("sh", ["-c", script, name], { stdio: ["pipe", "pipe", "inherit"] });
    await once(child.stdout, "data");
    const found = readProcess(child.pid ?? 0)?.name;
    child.stdin.end();
    await once(child, "exit");
    return found;
  };
  expect(await renamed("brücke")).toBe("brücke");
  // The kernel keeps 15 bytes, and ü has two.
  expect(await renamed(`${"a".repeat(14)}ü`)).toBe(`${"a".repeat(14)}\ufffd`);
});

test("text that is no stat line is refused, never misread", () => {
  fc.assert(fc.property(fc.string(), (text) => expect(parseStat(text)).toBeUndefined()));
  expect(parseStat("42 (cut) S 1 7")).toBeUndefined();
});

test("a process that has ended is not alive, although its zombie is still in the table", async () => {
  // The shell never waits for its child, since it becomes another program first.
  const parent = spawn("sh", ["-c", "sleep 0.01 & exec sleep 1000"]);
  await once(parent, "spawn");
  const zombie = await eventually(() => {
    const child = [...readProcessTable().values()].find((it) => it.parentPid === parent.pid);
    expect(child?.state).toBe("Z");
    return child!;
  });
  expect(isAlive(zombie)).toBe(false);
  expect(wasStartedWith(zombie.pid, "A=")).toBe(false);
  parent.kill("SIGKILL");
  await once(parent, "exit");
});

test("another process under the same pid is not the one that was meant", () => {
  const self = readProcess(process.pid)!;
  expect(isAlive(self)).toBe(true);
  expect(isAlive({ pid: self.pid, startTime: self.startTime + 1 })).toBe(false);
  expect(isAlive({ pid: self.pid, startTime: self.startTime - 1 })).toBe(false);
});

test("the user of a process is told, and nothing of one that is gone", () => {
  expect(readUid(process.pid)).toBe(process.getuid?.());
  expect(readUid(0)).toBeUndefined();
});

test("a process is never said to lack an environment that it is about to get again", async () => {
  // For a moment at each exec, a process has none.
  const child = spawn("sh", ["-c", 'echo; exec sh -c "$0" "$0"', 'exec sh -c "$0" "$0"'], {
    env: { PATH: "/usr/bin:/bin", MARK: "x" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    await once(child.stdout, "data");
    const seen = new Set<boolean | undefined>();
    for (let look = 0; look < 20_000; look++) seen.add(wasStartedWith(child.pid!, "MARK=x"));
    expect(seen).toContain(true);
    expect(seen).not.toContain(false);
    expect(wasStartedWith(child.pid!, "MARK=y")).not.toBe(true);
  } finally {
    child.kill("SIGKILL");
  }
  await once(child, "exit");
  expect(wasStartedWith(child.pid!, "MARK=x")).toBe(false);
});

test("a process without any environment, and a part of the kernel, were started with nothing", async () => {
  const bare = spawn("sleep", ["1000"], { env: {} });
  await once(bare, "spawn");
  await eventually(() => expect(wasStartedWith(bare.pid!, "A=")).toBe(false));
  bare.kill("SIGKILL");
  await once(bare, "exit");
  if (readProcess(2)?.parentPid === 0) expect(wasStartedWith(2, "A=")).toBe(false);
});
