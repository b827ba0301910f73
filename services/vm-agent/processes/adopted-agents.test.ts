import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { FakeClock } from "../../../test/fakes/fake-clock";
import { type AdoptionRig, createAdoptionRig } from "../../../test/harness/adoption";
import { eventually } from "../../../test/harness/eventually";
import { isAlive, type ProcessIdentity, readProcess } from "../linux/proc";
import { ageMsOf } from "../linux/process-facts";
import { type AgentState } from "./agent";

const NOW = { graceMs: 0, killMs: 10_000 };

let rig: AdoptionRig;
beforeEach(() => {
  rig = createAdoptionRig();
});
afterEach(() => rig.close());

const pidsOf = (all: readonly ProcessIdentity[]) => all.map(({ pid }) => pid).sort();

test("a process becomes a running agent with its children, and nothing is done to it", async () => {
  const script = 'echo $$ >main; sh -c "echo \\$\\$ >child; exec sleep 1000" & wait';
  rig.strangers.start(["sh", "-c", script], { cwd: rig.directory });
  const [main, child] = [await rig.started("main"), await rig.started("child")];
  const adopted = rig.daemon();
  const told: AgentState[] = [];
  adopted.onChange((state) => told.push(state));
  const state = adopted.adopt(rig.request(main.pid, { startTicks: main.startTime }));
  expect(state).toMatchObject({ phase: "running", main, adopted: { name: "sh" } });
  expect(told).toEqual([state]);
  expect(pidsOf(adopted.processes(state.agentId))).toEqual(pidsOf([main, child]));
  expect([main, child].map((each) => adopted.agentOf(each))).toEqual(Array(2).fill(state.agentId));
  expect(adopted.agentOf(readProcess(process.pid)!)).toBeUndefined();
  const startedAt = Date.now() - ageMsOf(main);
  expect(Math.abs(state.adopted!.startedAt.getTime() - startedAt)).toBeLessThan(5_000);
  // The same wish again is the same agent.
  expect(adopted.adopt(rig.request(main.pid))).toBe(state);
  expect([main, child].every(isAlive)).toBe(true);
});

test("killing it ends its tree, also what has left it since, and it is cancelled", async () => {
  const script = `echo $$ >main
    sh -c 'echo $$ >child; trap "" TERM; while :; do sleep 1000; done' &
    (setsid sh -c 'echo $$ >escaped; exec sleep 1000' & sleep 1000) & echo $! >between; wait`;
  rig.strangers.start(["sh", "-c", script], { cwd: rig.directory });
  const all = await Promise.all(
    ["main", "child", "between", "escaped"].map((name) => rig.started(name)),
  );
  const adopted = rig.daemon();
  const { agentId } = adopted.adopt(rig.request(all[0]!.pid));
  expect(pidsOf(adopted.processes(agentId))).toEqual(expect.arrayContaining(pidsOf(all)));
  // What is between the two ends: nothing but having been seen ties it to the tree.
  process.kill(all[2]!.pid, "SIGKILL");
  await eventually(() => expect(readProcess(all[3]!.pid)?.parentPid).not.toBe(all[2]!.pid));
  const { state, left } = await adopted.kill(agentId, { graceMs: 100, killMs: 10_000 });
  expect(left).toEqual([]);
  expect(state).toMatchObject({ phase: "cancelled", exit: { kind: "lost", why: "adopted" } });
  expect(all.filter(isAlive)).toEqual([]);
  expect(adopted.forget(agentId)).toBe(true);
  expect([adopted.list(), readdirSync(join(rig.directory, "adopted"))]).toEqual([[], []]);
});

test("killing one process of any forest ends what is below it and nothing else", async () => {
  // Node i hangs below parents[i], or below none; all are in one session and one group.
  const forest = fc
    .array(fc.nat({ max: 6 }), { minLength: 2, maxLength: 6 })
    .map((picks) => picks.map((pick, index) => (pick >= index ? undefined : pick)));
  await fc.assert(
    fc.asyncProperty(forest, fc.nat(), async (parents, pick) => {
      const root = mkdtempSync(join(rig.directory, "forest-"));
      const scriptOf = (node: number): string => {
        const children = parents.flatMap((parent, child) => (parent === node ? [child] : []));
        const starts = children.map((child) => `sh ${child}.sh & `).join("");
        return `echo $$ >${node}.tmp; mv ${node}.tmp ${node}.pid; ${starts}exec sleep 1000\n`;
      };
      parents.forEach((_, node) => {
        writeFileSync(join(root, `${node}.sh`), scriptOf(node));
      });
      for (const [node, parent] of parents.entries())
        if (parent === undefined) rig.strangers.start(["sh", `${node}.sh`], { cwd: root });
      const all: ProcessIdentity[] = [];
      for (const node of parents.keys())
        all.push(await eventually(() => rig.strangers.from(join(root, `${node}.pid`))));
      // Until each has become what it stays.
      await eventually(() =>
        expect(all.every(({ pid }) => readProcess(pid)?.name === "sleep")).toBe(true),
      );
      const chosen = pick % parents.length;
      const isBelow = (node: number | undefined): boolean =>
        node !== undefined && (node === chosen || isBelow(parents[node]));
      const adopted = rig.daemon({ stateDir: root });
      const { agentId } = adopted.adopt(rig.request(all[chosen]!.pid));
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
  rig.strangers.start(["sh", "-c", "echo $$ >main; sleep 1000 & echo $! >left; exec sleep 1000"], {
    cwd: rig.directory,
  });
  const [main, left] = [await rig.started("main"), await rig.started("left")];
  const clock = new FakeClock();
  const adopted = rig.daemon({ clock });
  const told: string[] = [];
  adopted.onChange(({ phase }) => told.push(phase));
  const { agentId } = adopted.adopt(rig.request(main.pid));
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
  const adopted = rig.daemon({ clock });
  adopted.start();
  await clock.advance(10_000);
  const { pid } = rig.sleeper();
  const { agentId } = adopted.adopt(rig.request(pid));
  process.kill(pid, "SIGKILL");
  await eventually(async () => {
    await clock.advance(500);
    expect(adopted.get(agentId)?.phase).toBe("completed");
  });
  expect(clock.monotonicMs()).toBeLessThan(3_600_000);
});

test("the next daemon finds it as it was, and what ended between the two", async () => {
  const [goes, stays] = [rig.sleeper(), rig.sleeper()];
  const first = rig.daemon();
  const before = [goes, stays].map(({ pid }) => first.adopt(rig.request(pid)));
  await first.stop();
  process.kill(goes.pid, "SIGKILL");
  await eventually(() => expect(isAlive(goes)).toBe(false));
  const second = rig.daemon();
  const states = before.map(({ agentId }) => second.get(agentId));
  expect(states).toMatchObject([
    { phase: "completed", exit: { kind: "lost", why: "adopted" } },
    { phase: "running", main: stays, adopted: before[1]!.adopted },
  ]);
  await second.kill(before[1]!.agentId, NOW);
  expect(isAlive(stays)).toBe(false);
  expect(rig.daemon().get(before[1]!.agentId)).toMatchObject({ phase: "cancelled" });
});

test("after a reboot, or when its pid went to another, nobody who has the pid now is touched", async () => {
  const [one, other] = [rig.sleeper(), rig.sleeper()];
  const first = rig.daemon();
  const ids = [one, other].map(({ pid }) => first.adopt(rig.request(pid)).agentId);
  const path = join(rig.directory, "adopted", `${ids[1]}.json`);
  const text = readFileSync(path, "utf8");
  writeFileSync(path, text.replace(`"startTime":${other.startTime}`, '"startTime":1'));
  const rebooted = rig.daemon({ bootId: "boot-2" });
  expect(rebooted.get(ids[0]!)).toMatchObject({
    phase: "cancelled",
    exit: { kind: "lost", why: "rebooted" },
  });
  expect(rebooted.processes(ids[0]!)).toEqual([]);
  const second = rig.daemon();
  expect(second.get(ids[1]!)).toMatchObject({ phase: "completed" });
  expect(second.processes(ids[1]!)).toEqual([]);
  for (const each of [rebooted, second])
    for (const agentId of ids.slice(each === second ? 1 : 0)) await each.kill(agentId, NOW);
  expect([one, other].every(isAlive)).toBe(true);
});

test("a record that is damaged is removed, and the others are found", () => {
  const { pid } = rig.sleeper();
  const { agentId } = rig.daemon().adopt(rig.request(pid));
  for (const [name, text] of Object.entries({ a: "{", b: "{}", c: "null", ".d.tmp": "" }))
    writeFileSync(join(rig.directory, "adopted", `${name}.json`), text);
  expect(rig.daemon().list()).toMatchObject([{ agentId, phase: "running" }]);
  expect(readdirSync(join(rig.directory, "adopted"))).toEqual([`${agentId}.json`]);
});
