import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { type AdoptionRig, createAdoptionRig } from "../../../test/harness/adoption";
import { eventually } from "../../../test/harness/eventually";
import { readProcess } from "../linux/proc";
import { readStatus } from "../linux/process-facts";
import { type AdoptRequest } from "./adoption";
import { takenBy } from "./agent-processes";
import { createTestVm } from "./test-vm";

let rig: AdoptionRig;
beforeEach(() => {
  rig = createAdoptionRig();
});
afterEach(() => rig.close());

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

describe("what is refused", () => {
  const refused = (pid: number, text: string, change: Partial<AdoptRequest> = {}) => {
    const adopted = rig.daemon();
    expect(thrownBy(() => adopted.adopt(rig.request(pid, change)))).toMatchObject(
      refusal(pid, text),
    );
    expect([adopted.list(), readdirSync(join(rig.directory, "adopted"))]).toEqual([[], []]);
  };

  test("a pid that no process has", () => {
    refused(4_194_304, "there is no process 4194304");
  });

  test("one that has ended and whose parent has not taken note", async () => {
    // It ends once its parent is a program that takes note of no child.
    const script = `sh -c 'until grep -q sleep /proc/$PPID/comm; do sleep 0.02; done' &
      echo $! >zombie; exec sleep 1000`;
    rig.strangers.start(["sh", "-c", script], { cwd: rig.directory });
    const zombie = await rig.started("zombie");
    await eventually(() => expect(readProcess(zombie.pid)?.state).toBe("Z"));
    refused(zombie.pid, "has ended");
  });

  test("another one than was meant, that has got the pid since", () => {
    const { pid, startTime } = rig.sleeper();
    refused(pid, "is another one than was meant", { startTicks: startTime - 1 });
    refused(pid, "began after its adoption was asked for", { askedMsAgo: 3_600_000 });
    // Clocks are a little apart.
    expect(rig.daemon().adopt(rig.request(pid, { askedMsAgo: 5_000 })).phase).toBe("running");
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
    const { pid } = isRoot ? rig.strangers.start(["sleep", "1000"], { uid: 65_534 }) : { pid: 1 };
    refused(pid, isRoot ? "does not run as the user of this VM's agents (uid 0)" : "process 1");
    const own = { uid: 65_534, gid: 65_534 };
    if (isRoot) {
      refused(rig.sleeper().pid, "does not run as the user", { user: own });
      const { agentId } = rig.daemon().adopt(rig.request(pid, { user: own }));
      expect(rig.daemon().get(agentId)?.user).toEqual(own);
    }
  });

  test("a process of an agent, its shim, and whatever has one of them below it", async () => {
    const vm = createTestVm();
    try {
      const supervisor = vm.supervisor();
      const spawned = await supervisor.spawn(vm.request({ argv: ["sleep", "1000"] }));
      const [shim] = supervisor.shims();
      const adopted = rig.daemon({ taken: () => takenBy(supervisor) });
      // Told by what the supervisor knows: the shims of an earlier daemon are below nobody.
      expect(takenBy(supervisor)).toEqual(
        expect.arrayContaining([
          { ...spawned.main, by: "agent" },
          { ...shim, by: "daemon" },
        ]),
      );
      for (const { pid } of [spawned.main!, shim!])
        expect(thrownBy(() => adopted.adopt(rig.request(pid)))).toMatchObject(
          refusal(pid, "is a part"),
        );
    } finally {
      await vm.close();
    }
  });

  test("what belongs to an adopted process, and what is above one", async () => {
    const script =
      'echo $$ >top; sh -c "echo \\$\\$ >main; sleep 1000 & echo \\$! >child; wait" & wait';
    rig.strangers.start(["sh", "-c", script], { cwd: rig.directory });
    const [top, main, child] = await Promise.all(
      ["top", "main", "child"].map((name) => rig.started(name)),
    );
    const adopted = rig.daemon();
    adopted.adopt(rig.request(main!.pid));
    const again = (pid: number) =>
      thrownBy(() => adopted.adopt(rig.request(pid, { agentId: "another" })));
    expect(again(main!.pid)).toMatchObject(refusal(main!.pid, "belongs to an agent already"));
    expect(again(child!.pid)).toMatchObject(refusal(child!.pid, "belongs to an agent already"));
    const below = `process ${main!.pid} below process ${top!.pid} belongs to an agent already`;
    expect(again(top!.pid)).toMatchObject(refusal(top!.pid, below));
    // Told also by what the daemon has started.
    const other = rig.daemon({
      stateDir: mkdtempSync(join(rig.directory, "other-")),
      taken: () => [{ ...child!, by: "daemon" }],
    });
    expect(thrownBy(() => other.adopt(rig.request(main!.pid)))).toMatchObject(
      refusal(main!.pid, `process ${child!.pid} below process ${main!.pid} is a part`),
    );
  });
});
