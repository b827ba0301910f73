import { existsSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type AdoptionRig, createAdoptionRig } from "../../../test/harness/adoption";
import { eventually } from "../../../test/harness/eventually";
import { readProcess, wasStartedWith } from "../linux/proc";
import { type AdoptRequest, type ReloadWish } from "./adoption";
import { sendSignal } from "./send-signal";

let rig: AdoptionRig;
beforeEach(() => {
  rig = createAdoptionRig();
});
afterEach(() => rig.close());

describe("what is said of it", () => {
  const factsOf = (pid: number, reload?: ReloadWish, change: Partial<AdoptRequest> = {}) => {
    const made = rig.daemon({ stateDir: mkdtempSync(join(rig.directory, "said-")) });
    return made.adopt(rig.request(pid, { ...(reload && { reload }), ...change })).adopted!;
  };
  const hup = (to: "process" | "group" = "process"): ReloadWish => ({
    ...{ kind: "signal", signal: "SIGHUP", to },
  });

  test("its files, its socket and its children can be used; its environment and receipts cannot", () => {
    const { pid } = rig.sleeper();
    expect(factsOf(pid)).toMatchObject({
      canUse: [
        `files: ${rig.directory}/env, env.sh and env.json are the newest set`,
        `children: those that it starts by "MURMUR_RUN_DIR=${dirname(dirname(rig.directory))} murmur exec --agent fix-auth -- COMMAND" have the set, follow it and say so`,
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
    rig.strangers.start(["sh", "-c", "trap : HUP; echo $$ >main; while :; do sleep 0.1; done"], {
      cwd: rig.directory,
    });
    const handling = await rig.started("main");
    const { pid } = rig.sleeper();
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
    const { pid } = rig.strangers.start(["env", `MURMUR_DIR=${other}`, "sleep", "1000"]);
    await eventually(() => expect(wasStartedWith(pid, `MURMUR_DIR=${other}`)).toBe(true));
    expect(factsOf(pid).cannotUse).toContain(
      `environment: pid ${pid} was started with the set of agent other-agent and goes on with that`,
    );
  });

  test("files that it cannot reach are not promised", () => {
    // Only a root daemon gives files to another user than its own, through a group.
    const isRoot = process.getuid?.() === 0;
    const user = { uid: isRoot ? 65_534 : process.getuid!(), gid: 65_533 };
    const { pid } = isRoot
      ? rig.strangers.start(["sleep", "1000"], { uid: user.uid })
      : rig.sleeper();
    const { canUse, cannotUse } = factsOf(pid, undefined, { user });
    expect(canUse.some((each) => each.startsWith("files:"))).toBe(!isRoot);
    expect(cannotUse.filter((each) => each.startsWith("files:"))).toEqual(
      isRoot
        ? [`files: pid ${pid} is not in the group 65533, which alone may enter ${rig.directory}`]
        : [],
    );
  });

  test("a signal to its group goes to its tree only, whoever else is in the group", async () => {
    const script = `for name in main sibling; do
      sh -c 'trap "echo told >>$0.told" USR1; trap "echo >>$0.asked" USR2; echo $$ >$0; while :; do sleep 0.05; done' $name &
    done; wait`;
    rig.strangers.start(["sh", "-c", script], { cwd: rig.directory });
    const [main, sibling] = await Promise.all(["main", "sibling"].map((name) => rig.started(name)));
    expect(readProcess(main!.pid)?.group).toBe(readProcess(sibling!.pid)?.group);
    const adopted = rig.daemon();
    const { agentId } = adopted.adopt(rig.request(main!.pid));
    const send = () => sendSignal(main!, "SIGUSR1", "group", adopted.processes(agentId));
    expect(send()).toBeUndefined();
    const told = (name: string) => existsSync(join(rig.directory, `${name}.told`));
    await eventually(() => expect(told("main")).toBe(true));
    // A shell looks at the lower number first.
    process.kill(sibling!.pid, "SIGUSR2");
    await eventually(() => expect(existsSync(join(rig.directory, "sibling.asked"))).toBe(true));
    expect(told("sibling")).toBe(false);
  });
});
