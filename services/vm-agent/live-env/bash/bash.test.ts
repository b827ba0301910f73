import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../../../../test/harness/eventually";
import { installForTest, run } from "../exec/exec-program";
import { createTestDirectory, type TestDirectory } from "../test-directory";
import { endPrograms, runBash, startBash, surroundings, type Layers } from "./bash-program";

let layers: Layers;
let directory: TestDirectory;
beforeAll(() => void (layers = installForTest()));
beforeEach(() => {
  directory = createTestDirectory([{ generation: 1, set: { TOKEN: "old-secret" } }]);
});
afterEach(() => {
  endPrograms();
  directory.remove();
});
afterAll(() => layers.remove());

const at = (block: Record<string, string> = {}, input = "") => ({
  directory: directory.path,
  generation: 1,
  block: { TOKEN: "old-secret", ...block },
  input,
});
const swap = (set: Record<string, string> = { TOKEN: "new-secret" }, generation = 2) =>
  directory.swap({ generation, set });

describe("a bash that starts", () => {
  const COMMANDS: [string[], string?][] = [
    [["-xc", 'echo "$# $?"']],
    [["-euxo", "pipefail", "-c", "f() { local -; set +x; false; }; f"]],
    [["-c", 'echo "$?|$_|$-|$#|$0|$*|${!MURMUR*}" | tr -d "\\n"', "name", "one", "two"]],
    [["-c", "exit 7"]],
    [["-c", "false"]],
    [["-ec", "false; echo not here"]],
    [["-c", "kill -TERM $$"]],
    [["-uc", 'echo "$NOT_THERE"']],
    [["-c", "cat"], "a line\nanother"],
    [["-s"], "read -r x\nthe line\necho $x"],
    [["-c", 'eval "$(printf "X=1")"; echo "$X"; compgen -b murmur; declare -F; alias; trap -p']],
    [["-c", "ls /proc/self/fd; : & wait $!; echo $?"]],
    [["-rc", "echo restricted"]],
    [["-c", 'set -T; trap "echo debug" DEBUG; trap "echo err" ERR; false; true']],
  ];

  it.each(COMMANDS)("does and says what it would have without us: %j", (args, input = "") => {
    const withUs = runBash(layers, at({}, input), ...args);
    const without = runBash(layers, { ...at({ BASH_ENV: "" }, input) }, ...args);
    const { pid, ...rest } = without;
    expect(withUs).toEqual({ ...rest, pid: expect.any(Number) as number });
    expect(withUs.pid).not.toBe(pid);
  });

  it.each([["-xc"], ["-vc"], ["-xvc"]])("shows no secret with %s", (option) => {
    swap();
    const { stderr, stdout } = runBash(layers, at(), option, "echo ${TOKEN:0:3}");
    expect(stdout).toBe("new\n");
    expect(stderr).not.toContain("-secret");
    const inherited = runBash(layers, at({ SHELLOPTS: "xtrace" }), "-c", ":");
    expect(inherited.stderr).toBe("+ :\n");
  });

  it("reads the BASH_ENV that the agent had, expanded as bash does", () => {
    const own = join(directory.path, "own file.sh");
    writeFileSync(own, "echo theirs $TOKEN; THEIRS=1");
    const block = { MURMUR_BASH_ENV: "$WHERE/own file.sh", WHERE: directory.path };
    const seen = runBash(layers, at(block), "-euc", "echo $THEIRS");
    expect(seen).toMatchObject({ status: 0, stderr: "", stdout: "theirs old-secret\n1\n" });
    const off = runBash(layers, { ...at(block), layers: "exec" }, "-c", "echo $THEIRS");
    expect(off.stdout).toBe("theirs old-secret\n1\n");
    for (const gone of ["/nowhere", directory.path]) {
      const missing = runBash(layers, at({ MURMUR_BASH_ENV: gone }), "-euc", "echo $?");
      expect(missing).toMatchObject({ status: 0, stderr: "", stdout: "0\n" });
    }
  });

  it("does nothing without its name in MURMUR_LIVE, its object, or a set", () => {
    swap();
    const { path } = directory;
    const cases = [
      { ...at(), layers: "exec,node" },
      at({ MURMUR_LIVE_DIR: "/nowhere" }),
      { ...at(), directory: join(path, "nowhere") },
      { ...at(), directory: "" },
      at({ MURMUR_GENERATION: "x" }),
    ];
    for (const surrounding of cases.slice(0, 4)) {
      const seen = runBash(layers, surrounding, "-euc", 'echo "$TOKEN"');
      expect(seen).toMatchObject({ status: 0, stderr: "", stdout: "old-secret\n" });
    }
    expect(directory.receipts()).toEqual([]);
  });
});

describe("a bash that runs", () => {
  it("sees a new value in a loop without any command", async () => {
    const program = startBash(layers, at(), "-eu");
    const loop = program.step("until [[ $TOKEN == new* ]]; do ((n = 1)); done; echo $TOKEN");
    swap();
    expect(await loop).toBe("new-secret\n");
  });

  it("keeps the result of a wait that a swap fell into", async () => {
    const fifo = join(directory.path, "fifo");
    execFileSync("mkfifo", [fifo]);
    const program = startBash(layers, at(), "-eu");
    await program.step(`read -r line < '${fifo}' & trap 'echo trapped $TOKEN' EXIT`);
    const waiting = program.step('wait $!; echo "$? $TOKEN"; (echo sub $TOKEN)');
    swap();
    writeFileSync(fifo, "go\n");
    expect(await waiting).toBe("0 new-secret\nsub new-secret\n");
    expect(await program.end()).toBe(0);
    expect(program.stderr()).toBe("");
  });

  it("keeps what the script did to a name", async () => {
    const set = { A: "a1", B: "b1", C: "c1", D: "d1", E: "e1" };
    swap(set);
    const program = startBash(layers, { ...at(set), generation: 2 });
    await program.step("unset A; B=own; readonly C; D=(x y); f() { local E=inner; g; echo $E; }");
    swap({ A: "a2", B: "b2", C: "c2", D: "d2", E: "e2" }, 3);
    const said = await program.step(
      'g() { echo "${A-gone} $B $C ${D[*]}"; }; f; echo $E; env | grep -c ^A=',
    );
    expect(said).toBe("gone own c1 x y\ninner\ne2\n0\n");
  });

  it("lets go of nothing that a command still uses, and of everything after", async () => {
    const program = startBash(layers, at({ OTHER: "x" }));
    // Without a child: whether the shell has closed its end of a pipe yet would be a matter of luck.
    const count =
      'fds=(/proc/self/fd/*); mapfile -t maps </proc/self/maps; echo "${#fds[@]} ${#maps[@]}"';
    // What the counting itself takes is taken then.
    await program.step(count);
    const before = await program.step(count);
    const loop = program.step(
      'until [[ $TOKEN == last ]]; do x=${TOKEN#"$OTHER"}${OTHER%"$TOKEN"}${TOKEN/$OTHER/$TOKEN}; done',
    );
    for (let n = 2; n < 300; n++) {
      swap({ TOKEN: `token-${n}${"x".repeat(n)}`, OTHER: "y".repeat(n), [`N${n % 5}`]: "n" }, n);
      // Who misses more values than are remembered takes its own for one of the program's.
      if (n % 20 === 0)
        await eventually(() => {
          expect(directory.receiptOf(program.pid)?.generation).toBe(BigInt(n));
        });
    }
    swap({ TOKEN: "last" }, 300);
    await loop;
    expect(await program.step(count)).toBe(before);
    expect(await program.step("echo ${!N*} $MURMUR_GENERATION")).toBe("300\n");
    expect(await program.end()).toBe(0);
    expect(program.stderr()).toBe("");
  });

  it("brings an env.sh that was read across a swap to one generation", async () => {
    const program = startBash(layers, at({ A_TOKEN: "old-a" }));
    const source =
      "export A_TOKEN=old-a; export TOKEN=old-secret; export MURMUR_GENERATION=1; echo $A_TOKEN $TOKEN";
    swap({ A_TOKEN: "old-a", TOKEN: "old-secret" }, 2);
    expect(await program.step("echo $A_TOKEN $TOKEN")).toBe("old-a old-secret\n");
    swap({ A_TOKEN: "new-a", TOKEN: "new-secret" }, 3);
    expect(await program.step(source)).toBe("new-a new-secret\n");
    expect(await program.step("echo $MURMUR_GENERATION")).toBe("3\n");
    expect(await program.end()).toBe(0);
  });

  it("survives an agent that is over, a short page and files that make no sense", async () => {
    const program = startBash(layers, at(), "-eu");
    await program.step(":");
    const page = (n: number) => {
      const bytes = Buffer.alloc(8);
      bytes.writeBigUInt64LE(BigInt(n));
      writeFileSync(join(directory.path, "page"), bytes, { flag: "r+" });
    };
    const live = join(directory.path, "..data", "live");
    for (const size of [0, 30, 41, 60]) {
      truncateSync(live, size);
      page(10 + size);
      expect(await program.step("echo $TOKEN")).toBe("old-secret\n");
    }
    truncateSync(join(directory.path, "page"), 0);
    expect(await program.step("echo $TOKEN")).toBe("old-secret\n");
    directory.remove();
    expect(await program.step("echo $TOKEN; /bin/true")).toBe("old-secret\n");
    expect(await program.end()).toBe(0);
    expect(program.stderr()).toBe("");
  });
});

describe("a receipt", () => {
  it("says what a bash has, since when, and when it last used the value before", async () => {
    const program = startBash(layers, at());
    await program.step("echo $TOKEN");
    const first = directory.receiptOf(program.pid);
    expect(first).toMatchObject({ layer: 2, generation: 1n, readsThrough: true });
    expect(first).toMatchObject({ generationBefore: 0n, lastReadOfBeforeNs: 0n });
    swap();
    await program.step("echo $TOKEN");
    const second = directory.receiptOf(program.pid)!;
    expect(second).toMatchObject({ layer: 2, generation: 2n, generationBefore: 1n });
    expect(second.startTicks).toBe(first?.startTicks);
    expect(second.lastReadOfBeforeNs).toBeGreaterThan(first!.firstConsumedNs);
    expect(second.firstConsumedNs).toBeGreaterThan(second.lastReadOfBeforeNs);
    const child = Number(await program.step("( :; :; :; echo $BASHPID; : )"));
    expect(directory.receiptOf(child)).toMatchObject({ layer: 2, generation: 2n });
  });

  it("that cannot be left disturbs nothing", () => {
    const receipts = join(directory.path, "receipts");
    const spoil = [
      () => truncateSync(receipts, 100),
      () => rmSync(receipts),
      () => mkdirSync(receipts),
    ];
    for (const change of spoil) {
      change();
      expect(runBash(layers, at(), "-c", "echo $TOKEN")).toMatchObject({
        ...{ status: 0, stdout: "old-secret\n", stderr: "" },
      });
    }
    expect(readdirSync(receipts)).toEqual([]);
  });
});

it("an interactive bash follows by its prompt, which keeps the exit code", async () => {
  swap();
  const block = { PROMPT_COMMAND: `. '${layers.path}/bash/hook.bash'`, PS1: "" };
  const input = 'false\necho "$? $TOKEN"\n(exit 3)\necho "$?"\n';
  const seen = run(surroundings(layers, at(block, input)), "bash", "--norc", "-i");
  await eventually(() => expect(seen.stdout).toBe("1 new-secret\n3\n"));
});
