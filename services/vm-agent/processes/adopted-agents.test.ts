import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { FakeClock } from "../../../test/fakes/fake-clock";
import { eventually } from "../../../test/harness/eventually";
import { isAlive, type ProcessIdentity, readProcess, wasStartedWith } from "../linux/proc";
import { ageMsOf, readStatus } from "../linux/process-facts";
import { AdoptedAgents, type AdoptedAgentsDeps } from "./adopted-agents";
import { type AdoptRequest, type ReloadWish } from "./adoption";
import { takenBy } from "./agent-processes";
import { type AgentState } from "./agent";
import { sendSignal } from "./send-signal";
import { createStrangers, type Strangers } from "./test-strangers";
import { createTestVm } from "./test-vm";

const NOW = { graceMs: 0, killMs: 10_000 };

let directory: string;
let strangers: Strangers;
let daemons: AdoptedAgents[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "murmur-adopt-"));
  strangers = createStrangers();
  daemons = [];
});
afterEach(async () => {
  for (const each of daemons) await each.stop();
  strangers.end();
  rmSync(directory, { recursive: true, force: true });
});

function daemon(deps: Partial<AdoptedAgentsDeps> = {}): AdoptedAgents {
  const facts = { stateDir: directory, socketPath: "/run/agent.sock", bootId: "boot-1" };
  const made = new AdoptedAgents({ ...facts, taken: () => [], ...deps });
  daemons.push(made);
  return made;
}

const request = (pid: number, change: Partial<AdoptRequest> = {}): AdoptRequest => ({
  ...{ agentId: `agent-${pid}`, envDir: directory, path: "fix-auth" },
  ...{ pid, startTicks: 0, askedMsAgo: 0, ...change },
});
const sleeper = () => strangers.start(["sleep", "1000"]);
const pidsOf = (all: readonly ProcessIdentity[]) => all.map(({ pid }) => pid).sort();
/** Waits until a script has written the pid of one of its processes. */
const started = (name: string) => eventually(() => strangers.from(join(directory, name)));
const refusal = (pid: number, text: string) => ({
  ...{ code: "FAILED_PRECONDITION", metadata: { pid: String(pid) } },
  ...{ reason: ErrorReason.ERROR_REASON_PROCESS_NOT_ADOPTABLE },
  message: expect.stringContaining(text) as string,
});
const thrownBy = (act: () => unknown): unknown => {
  try {
    return act();
  } catch (error) {
    return error;
  }
};

test("a process becomes a running agent with its children, and nothing is done to it", async () => {
  const script = 'echo $$ >main; sh -c "echo \\$\\$ >child; exec sleep 1000" & wait';
  strangers.start(["sh", "-c", script], { cwd: directory });
  const [main, child] = [await started("main"), await started("child")];
  const adopted = daemon();
  const told: AgentState[] = [];
  adopted.onChange((state) => told.push(state));
  const state = adopted.adopt(request(main.pid, { startTicks: main.startTime }));
  expect(state).toMatchObject({ phase: "running", main, adopted: { name: "sh" } });
  expect(told).toEqual([state]);
  expect(pidsOf(adopted.processes(state.agentId))).toEqual(pidsOf([main, child]));
  expect([main, child].map((each) => adopted.agentOf(each))).toEqual(Array(2).fill(state.agentId));
  expect(adopted.agentOf(readProcess(process.pid)!)).toBeUndefined();
  const startedAt = Date.now() - ageMsOf(main);
  expect(Math.abs(state.adopted!.startedAt.getTime() - startedAt)).toBeLessThan(5_000);
  // The same wish again is the same agent.
  expect(adopted.adopt(request(main.pid))).toBe(state);
  expect([main, child].every(isAlive)).toBe(true);
});

test("killing it ends its tree, also what has left it since, and it is cancelled", async () => {
  const script = `echo $$ >main
    sh -c 'echo $$ >child; trap "" TERM; while :; do sleep 1000; done' &
    (setsid sh -c 'echo $$ >escaped; exec sleep 1000' & sleep 1000) & echo $! >between; wait`;
  strangers.start(["sh", "-c", script], { cwd: directory });
  const all = await Promise.all(["main", "child", "between", "escaped"].map(started));
  const adopted = daemon();
  const { agentId } = adopted.adopt(request(all[0]!.pid));
  expect(pidsOf(adopted.processes(agentId))).toEqual(expect.arrayContaining(pidsOf(all)));
  // What is between the two ends: nothing but having been seen ties it to the tree.
  process.kill(all[2]!.pid, "SIGKILL");
  await eventually(() => expect(readProcess(all[3]!.pid)?.parentPid).not.toBe(all[2]!.pid));
  const { state, left } = await adopted.kill(agentId, { graceMs: 100, killMs: 10_000 });
  expect(left).toEqual([]);
  expect(state).toMatchObject({ phase: "cancelled", exit: { kind: "lost", why: "adopted" } });
  expect(all.filter(isAlive)).toEqual([]);
  expect(adopted.forget(agentId)).toBe(true);
  expect([adopted.list(), readdirSync(join(directory, "adopted"))]).toEqual([[], []]);
});

test("killing one process of any forest ends what is below it and nothing else", async () => {
  // Node i hangs below parents[i], or below none; all are in one session and one group.
  const forest = fc
    .array(fc.nat({ max: 6 }), { minLength: 2, maxLength: 6 })
    .map((picks) => picks.map((pick, index) => (pick >= index ? undefined : pick)));
  await fc.assert(
    fc.asyncProperty(forest, fc.nat(), async (parents, pick) => {
      const root = mkdtempSync(join(directory, "forest-"));
      const scriptOf = (node: number): string => {
        const children = parents.flatMap((parent, child) => (parent === node ? [child] : []));
        const starts = children.map((child) => `sh ${child}.sh & `).join("");
        return `echo $$ >${node}.tmp; mv ${node}.tmp ${node}.pid; ${starts}exec sleep 1000\n`;
      };
      parents.forEach((_, node) => {
        writeFileSync(join(root, `${node}.sh`), scriptOf(node));
      });
      for (const [node, parent] of parents.entries())
        if (parent === undefined) strangers.start(["sh", `${node}.sh`], { cwd: root });
      const all: ProcessIdentity[] = [];
      for (const node of parents.keys())
        all.push(await eventually(() => strangers.from(join(root, `${node}.pid`))));
      // Until each has become what it stays.
      await eventually(() =>
        expect(all.every(({ pid }) => readProcess(pid)?.name === "sleep")).toBe(true),
      );
      const chosen = pick % parents.length;
      const isBelow = (node: number | undefined): boolean =>
        node !== undefined && (node === chosen || isBelow(parents[node]));
      const adopted = daemon({ stateDir: root });
      const { agentId } = adopted.adopt(request(all[chosen]!.pid));
      const below = all.filter((_, node) => isBelow(node));
      expect(pidsOf(adopted.processes(agentId))).toEqual(pidsOf(below));
      await adopted.kill(agentId, NOW);
      expect(all.map(isAlive)).toEqual(all.map((_, node) => !isBelow(node)));
      await adopted.stop();
    }),
    { numRuns: 8, examples: [[[undefined, 0, undefined, 1], 1]] },
  );
}, 120_000);

test("its end is found by looking, its status is not made up, and what it leaves goes on", async () => {
  strangers.start(["sh", "-c", "echo $$ >main; sleep 1000 & echo $! >left; exec sleep 1000"], {
    cwd: directory,
  });
  const [main, left] = [await started("main"), await started("left")];
  const clock = new FakeClock();
  const adopted = daemon({ clock });
  const told: string[] = [];
  adopted.onChange(({ phase }) => told.push(phase));
  const { agentId } = adopted.adopt(request(main.pid));
  adopted.start();
  process.kill(main.pid, "SIGKILL");
  await eventually(() => expect(isAlive(main)).toBe(false));
  expect(told).toEqual(["running"]);
  await eventually(async () => {
    await clock.advance(500);
    expect(told).toEqual(["running", "completed"]);
  });
  expect(adopted.get(agentId)?.exit).toEqual({ kind: "lost", why: "adopted" });
  expect(adopted.agentOf(left)).toBeUndefined();
  await adopted.kill(agentId, NOW);
  expect(isAlive(left)).toBe(true);
});

test("nothing is looked at while there is nobody, and again from the next adoption on", async () => {
  const clock = new FakeClock();
  const adopted = daemon({ clock });
  adopted.start();
  await clock.advance(10_000);
  const { pid } = sleeper();
  const { agentId } = adopted.adopt(request(pid));
  process.kill(pid, "SIGKILL");
  await eventually(async () => {
    await clock.advance(500);
    expect(adopted.get(agentId)?.phase).toBe("completed");
  });
  expect(clock.monotonicMs()).toBeLessThan(3_600_000);
});

test("the next daemon finds it as it was, and what ended between the two", async () => {
  const [goes, stays] = [sleeper(), sleeper()];
  const first = daemon();
  const before = [goes, stays].map(({ pid }) => first.adopt(request(pid)));
  await first.stop();
  process.kill(goes.pid, "SIGKILL");
  await eventually(() => expect(isAlive(goes)).toBe(false));
  const second = daemon();
  const states = before.map(({ agentId }) => second.get(agentId));
  expect(states).toMatchObject([
    { phase: "completed", exit: { kind: "lost", why: "adopted" } },
    { phase: "running", main: stays, adopted: before[1]!.adopted },
  ]);
  await second.kill(before[1]!.agentId, NOW);
  expect(isAlive(stays)).toBe(false);
  expect(daemon().get(before[1]!.agentId)).toMatchObject({ phase: "cancelled" });
});

test("after a reboot, or when its pid went to another, nobody who has the pid now is touched", async () => {
  const [one, other] = [sleeper(), sleeper()];
  const first = daemon();
  const ids = [one, other].map(({ pid }) => first.adopt(request(pid)).agentId);
  const path = join(directory, "adopted", `${ids[1]}.json`);
  const text = readFileSync(path, "utf8");
  writeFileSync(path, text.replace(`"startTime":${other.startTime}`, '"startTime":1'));
  const rebooted = daemon({ bootId: "boot-2" });
  expect(rebooted.get(ids[0]!)).toMatchObject({
    phase: "cancelled",
    exit: { kind: "lost", why: "rebooted" },
  });
  expect(rebooted.processes(ids[0]!)).toEqual([]);
  const second = daemon();
  expect(second.get(ids[1]!)).toMatchObject({ phase: "completed" });
  expect(second.processes(ids[1]!)).toEqual([]);
  for (const each of [rebooted, second])
    for (const agentId of ids.slice(each === second ? 1 : 0)) await each.kill(agentId, NOW);
  expect([one, other].every(isAlive)).toBe(true);
});

test("a record that is damaged is removed, and the others are found", () => {
  const { pid } = sleeper();
  const { agentId } = daemon().adopt(request(pid));
  for (const [name, text] of Object.entries({ a: "{", b: "{}", c: "null", ".d.tmp": "" }))
    writeFileSync(join(directory, "adopted", `${name}.json`), text);
  expect(daemon().list()).toMatchObject([{ agentId, phase: "running" }]);
  expect(readdirSync(join(directory, "adopted"))).toEqual([`${agentId}.json`]);
});

describe("what is refused", () => {
  const refused = (pid: number, text: string, change: Partial<AdoptRequest> = {}) => {
    const adopted = daemon();
    expect(thrownBy(() => adopted.adopt(request(pid, change)))).toMatchObject(refusal(pid, text));
    expect([adopted.list(), readdirSync(join(directory, "adopted"))]).toEqual([[], []]);
  };

  test("a pid that no process has", () => {
    refused(4_194_304, "there is no process 4194304");
  });

  test("one that has ended and whose parent has not taken note", async () => {
    // It ends once its parent is a program that takes note of no child.
    const script = `sh -c 'until grep -q sleep /proc/$PPID/comm; do sleep 0.02; done' &
      echo $! >zombie; exec sleep 1000`;
    strangers.start(["sh", "-c", script], { cwd: directory });
    const zombie = await started("zombie");
    await eventually(() => expect(readProcess(zombie.pid)?.state).toBe("Z"));
    refused(zombie.pid, "has ended");
  });

  test("another one than was meant, that has got the pid since", () => {
    const { pid, startTime } = sleeper();
    refused(pid, "is another one than was meant", { startTicks: startTime - 1 });
    refused(pid, "began after its adoption was asked for", { askedMsAgo: 3_600_000 });
    // Clocks are a little apart.
    expect(daemon().adopt(request(pid, { askedMsAgo: 5_000 })).phase).toBe("running");
  });

  test("what runs the machine and what is a part of the kernel", () => {
    refused(1, "process 1 ");
    // The first of the kernel's own, which never ends; a container shows none of them.
    if (readStatus(2)?.hasMemory === false) refused(2, "is a part of the kernel");
  });

  test("the daemon, what runs it, and what it runs", async () => {
    refused(process.pid, "is this VM's daemon");
    refused(process.ppid, process.ppid === 1 ? "runs the machine" : "runs this VM's daemon");
    const child: ChildProcess = spawn("sleep", ["1000"]);
    await once(child, "spawn");
    refused(child.pid!, "is a part of this VM's daemon");
    child.kill("SIGKILL");
    await once(child, "exit");
  });

  test("a process of another user, or one that can become another", () => {
    // Only root can start one; for anyone else, that of process 1 is one.
    const isRoot = process.getuid?.() === 0;
    const { pid } = isRoot ? strangers.start(["sleep", "1000"], { uid: 65_534 }) : { pid: 1 };
    refused(pid, isRoot ? "does not run as the user of this VM's agents (uid 0)" : "process 1");
    const own = { uid: 65_534, gid: 65_534 };
    if (isRoot) {
      refused(sleeper().pid, "does not run as the user", { user: own });
      const { agentId } = daemon().adopt(request(pid, { user: own }));
      expect(daemon().get(agentId)?.user).toEqual(own);
    }
  });

  test("a process of an agent, its shim, and whatever has one of them below it", async () => {
    const vm = createTestVm();
    try {
      const supervisor = vm.supervisor();
      const spawned = await supervisor.spawn(vm.request({ argv: ["sleep", "1000"] }));
      const [shim] = supervisor.shims();
      const adopted = daemon({ taken: () => takenBy(supervisor) });
      // Told by what the supervisor knows: the shims of an earlier daemon are below nobody.
      expect(takenBy(supervisor)).toEqual(
        expect.arrayContaining([
          { ...spawned.main, by: "agent" },
          { ...shim, by: "daemon" },
        ]),
      );
      for (const { pid } of [spawned.main!, shim!])
        expect(thrownBy(() => adopted.adopt(request(pid)))).toMatchObject(
          refusal(pid, "is a part"),
        );
    } finally {
      await vm.close();
    }
  });

  test("what belongs to an adopted process, and what is above one", async () => {
    const script =
      'echo $$ >top; sh -c "echo \\$\\$ >main; sleep 1000 & echo \\$! >child; wait" & wait';
    strangers.start(["sh", "-c", script], { cwd: directory });
    const [top, main, child] = await Promise.all(["top", "main", "child"].map(started));
    const adopted = daemon();
    adopted.adopt(request(main!.pid));
    const again = (pid: number) =>
      thrownBy(() => adopted.adopt(request(pid, { agentId: "another" })));
    expect(again(main!.pid)).toMatchObject(refusal(main!.pid, "belongs to an agent already"));
    expect(again(child!.pid)).toMatchObject(refusal(child!.pid, "belongs to an agent already"));
    const below = `process ${main!.pid} below process ${top!.pid} belongs to an agent already`;
    expect(again(top!.pid)).toMatchObject(refusal(top!.pid, below));
    // Told also by what the daemon has started.
    const other = daemon({
      stateDir: mkdtempSync(join(directory, "other-")),
      taken: () => [{ ...child!, by: "daemon" }],
    });
    expect(thrownBy(() => other.adopt(request(main!.pid)))).toMatchObject(
      refusal(main!.pid, `process ${child!.pid} below process ${main!.pid} is a part`),
    );
  });
});

describe("what is said of it", () => {
  const factsOf = (pid: number, reload?: ReloadWish, change: Partial<AdoptRequest> = {}) => {
    const made = daemon({ stateDir: mkdtempSync(join(directory, "said-")) });
    return made.adopt(request(pid, { ...(reload && { reload }), ...change })).adopted!;
  };
  const hup = (to: "process" | "group" = "process"): ReloadWish => ({
    ...{ kind: "signal", signal: "SIGHUP", to },
  });

  test("its files, its socket and its children can be used; its environment and receipts cannot", () => {
    const { pid } = sleeper();
    expect(factsOf(pid)).toMatchObject({
      canUse: [
        `files: ${directory}/env, env.sh and env.json are the newest set`,
        `children: those that it starts by "MURMUR_RUN_DIR=${dirname(dirname(directory))} murmur exec --agent fix-auth -- COMMAND" have the set, follow it and say so`,
        'socket: its processes may ask for values and credentials ("murmur env get NAME") with MURMUR_SOCKET=/run/agent.sock',
      ],
      cannotUse: [
        `environment: what pid ${pid} was started with stays, and its children inherit that`,
        "reload: murmur.yaml names no signal and no hook for it",
        `receipts: which generation pid ${pid} uses cannot be told`,
        "end: its exit status will not be known, and its output is not kept",
      ],
    });
  });

  test("a signal is promised to a process that handles it only, and a hook to every one", async () => {
    strangers.start(["sh", "-c", "trap : HUP; echo $$ >main; while :; do sleep 0.1; done"], {
      cwd: directory,
    });
    const handling = await started("main");
    const { pid } = sleeper();
    expect(factsOf(handling.pid, hup()).canUse).toContain("reload: SIGHUP after each change");
    expect(factsOf(pid, hup()).cannotUse).toContain(
      `reload: pid ${pid} does not handle SIGHUP, which would end it`,
    );
    expect(factsOf(pid, hup("group")).canUse).toContain(
      "reload: SIGHUP after each change, to those of its group that handle it",
    );
    expect(factsOf(pid, { kind: "hook" }).canUse).toContain(
      "reload: its hook runs after each change",
    );
  });

  test("one that runs on another agent's set is said to go on with that", async () => {
    const other = join(tmpdir(), "other-agent");
    const { pid } = strangers.start(["env", `MURMUR_DIR=${other}`, "sleep", "1000"]);
    await eventually(() => expect(wasStartedWith(pid, `MURMUR_DIR=${other}`)).toBe(true));
    expect(factsOf(pid).cannotUse).toContain(
      `environment: pid ${pid} was started with the set of agent other-agent and goes on with that`,
    );
  });

  test("files that it cannot reach are not promised", () => {
    // Only a root daemon gives files to another user than its own, through a group.
    const isRoot = process.getuid?.() === 0;
    const user = { uid: isRoot ? 65_534 : process.getuid!(), gid: 65_533 };
    const { pid } = isRoot ? strangers.start(["sleep", "1000"], { uid: user.uid }) : sleeper();
    const { canUse, cannotUse } = factsOf(pid, undefined, { user });
    expect(canUse.some((each) => each.startsWith("files:"))).toBe(!isRoot);
    expect(cannotUse.filter((each) => each.startsWith("files:"))).toEqual(
      isRoot
        ? [`files: pid ${pid} is not in the group 65533, which alone may enter ${directory}`]
        : [],
    );
  });

  test("a signal to its group goes to its tree only, whoever else is in the group", async () => {
    const script = `for name in main sibling; do
      sh -c 'trap "echo told >>$0.told" USR1; trap "echo >>$0.asked" USR2; echo $$ >$0; while :; do sleep 0.05; done' $name &
    done; wait`;
    strangers.start(["sh", "-c", script], { cwd: directory });
    const [main, sibling] = await Promise.all(["main", "sibling"].map(started));
    expect(readProcess(main!.pid)?.group).toBe(readProcess(sibling!.pid)?.group);
    const adopted = daemon();
    const { agentId } = adopted.adopt(request(main!.pid));
    const send = () => sendSignal(main!, "SIGUSR1", "group", adopted.processes(agentId));
    expect(send()).toBeUndefined();
    const told = (name: string) => existsSync(join(directory, `${name}.told`));
    await eventually(() => expect(told("main")).toBe(true));
    // A shell looks at the lower number first.
    process.kill(sibling!.pid, "SIGUSR2");
    await eventually(() => expect(existsSync(join(directory, "sibling.asked"))).toBe(true));
    expect(told("sibling")).toBe(false);
  });
});
