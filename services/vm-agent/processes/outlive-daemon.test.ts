import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { buildSync } from "esbuild";
import { eventually } from "../../../test/harness/eventually";
import { isAlive, readProcess, readUid } from "../linux/proc";
import { type AgentState, type AgentUser } from "./agent";
import { type DaemonCommand } from "./test-daemon";
import { createTestVm, type TestVm } from "./test-vm";

const NOBODY = { uid: 65534, gid: 65534 };
const OTHER = { uid: 65533, gid: 65533 };
const isRoot = process.getuid?.() === 0;

/** A daemon as a process of its own, driven by lines of JSON. */
interface Daemon {
  pid: number;
  call(command: DaemonCommand): Promise<unknown>;
  states(): Promise<AgentState[]>;
  kill(): Promise<void>;
}

let bundle: string;
let vm: TestVm;
const started: ChildProcessWithoutNullStreams[] = [];

beforeAll(() => {
  bundle = join(mkdtempSync(join(tmpdir(), "murmur-daemon-")), "daemon.js");
  const entryPoints = [join(__dirname, "test-daemon.ts")];
  buildSync({ entryPoints, outfile: bundle, bundle: true, platform: "node", external: ["koffi"] });
  chmodSync(join(bundle, ".."), 0o755);
  symlinkSync(join(process.cwd(), "node_modules"), join(bundle, "..", "node_modules"));
});
afterAll(() => rmSync(join(bundle, ".."), { recursive: true }));
beforeEach(() => {
  vm = createTestVm();
  chmodSync(vm.directory, 0o755);
});
afterEach(async () => {
  for (const child of started.splice(0)) child.kill("SIGKILL");
  // Whoever the daemon was, this process clears up after it. A shim may rename a file meanwhile.
  if (isRoot) await eventually(() => execFileSync("chown", ["-R", "0:0", vm.directory]));
  await vm.close();
});

async function startDaemon(
  user?: AgentUser,
  bootId?: string,
  through: string[] = [],
): Promise<Daemon> {
  const socketPath = join(vm.directory, "agent.sock");
  const facts = [vm.stateDir, socketPath, ...(bootId ? [bootId] : [])];
  const program = [process.execPath, bundle, ...facts];
  const [command = "", ...args] = [...through, ...program];
  const child = spawn(command, args, {
    env: { PATH: process.env["PATH"] },
    // A group of its own, which is then killed whole, as a terminal or a supervisor may do.
    detached: true,
    ...user,
  });
  started.push(child);
  child.stderr.pipe(process.stderr);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<unknown> => {
    const line: IteratorResult<string, undefined> = await lines.next();
    if (line.done) throw new Error("the daemon has ended");
    return JSON.parse(line.value);
  };
  await next();
  const call = (command: DaemonCommand): Promise<unknown> => {
    child.stdin.write(`${JSON.stringify(command)}\n`);
    return next();
  };
  return {
    pid: child.pid ?? 0,
    call,
    states: async () => (await call({ method: "list" })) as AgentState[],
    async kill() {
      const ended = once(child, "exit");
      process.kill(-(child.pid ?? 0), "SIGKILL");
      await ended;
    },
  };
}

const DAEMONS: [string, AgentUser | undefined, AgentUser | undefined][] = isRoot
  ? [
      ["root with agents of its own", undefined, undefined],
      ["root with agents of another user", undefined, OTHER],
      ["not root", NOBODY, undefined],
    ]
  : [["not root", undefined, undefined]];

describe.each(DAEMONS)("a daemon that is %s", (_, daemonUser, agentUser) => {
  const spawnAgent = async (daemon: Daemon, ...argv: string[]): Promise<AgentState> => {
    const request = vm.request({ argv, ...(agentUser && { user: agentUser }) });
    const owner = agentUser ?? daemonUser;
    if (owner) chownSync(join(request.envDir, "..data", "env.sh"), owner.uid, owner.gid);
    return (await daemon.call({ method: "spawn", request })) as AgentState;
  };
  beforeEach(() => {
    if (daemonUser) chownSync(vm.directory, daemonUser.uid, daemonUser.gid);
  });

  test("is killed, no agent ends, and the next daemon finds each as it is", async () => {
    const first = await startDaemon(daemonUser);
    const script = "while :; do echo out; echo err >&2; sleep 0.02; done";
    const noisy = await spawnAgent(first, "sh", "-c", script);
    const ending = await spawnAgent(
      first,
      "sh",
      "-c",
      `until [ -e ${vm.directory}/go ]; do sleep 0.02; done; exit 7`,
    );
    const killed = await spawnAgent(first, "sleep", "1000");
    await first.kill();

    writeFileSync(join(vm.directory, "go"), "");
    process.kill(killed.main!.pid, "SIGKILL");
    await eventually(() => expect(isAlive(ending.main!) || isAlive(killed.main!)).toBe(false));
    const sizeAfterKill = readFileSync(vm.output(noisy.agentId)).length;
    await eventually(() =>
      expect(readFileSync(vm.output(noisy.agentId)).length).toBeGreaterThan(sizeAfterKill),
    );

    const second = await startDaemon(daemonUser);
    // An agent's shim takes a moment more than the agent, to write the status.
    await eventually(async () => {
      const states = new Map((await second.states()).map((state) => [state.agentId, state]));
      expect(states.get(noisy.agentId)).toMatchObject({ phase: "running", main: noisy.main });
      expect(states.get(ending.agentId)?.exit).toEqual({ kind: "code", code: 7 });
      expect(states.get(killed.agentId)?.exit).toEqual({ kind: "signal", signal: "SIGKILL" });
    });

    await second.call({ method: "kill", agentId: noisy.agentId });
    expect(isAlive(noisy.main!)).toBe(false);
    const cancelled = (await second.states()).find(({ agentId }) => agentId === noisy.agentId);
    expect(cancelled?.phase).toBe("cancelled");
  });

  test("runs the agent with the user's rights, and nobody else's", async () => {
    const daemon = await startDaemon(daemonUser);
    const agent = await spawnAgent(
      daemon,
      "sh",
      "-c",
      "grep -E '^(Uid|Gid|Groups|Cap)' /proc/self/status; echo x >>/dev/stderr; exec sleep 1000",
    );
    const owner = agentUser ?? daemonUser ?? { uid: process.getuid?.(), gid: process.getgid?.() };
    expect(readUid(agent.main!.pid)).toBeDefined();
    const text = await eventually(() => {
      const output = readFileSync(vm.output(agent.agentId), "utf8");
      expect(output).toMatch(/x\n$/);
      return output;
    });
    expect(text).toMatch(new RegExp(`^Uid:(\\t${owner.uid}){4}$`, "m"));
    expect(text).toMatch(new RegExp(`^Gid:(\\t${owner.gid}){4}$`, "m"));
    if (owner.uid !== 0) expect(text).toMatch(/^CapEff:\t0+$/m);
    if (agentUser) expect(text).toMatch(/^Groups:\s*$/m);
  });

  test("knows its agents on its socket by their processes, sealed as it is", async () => {
    const daemon = await startDaemon(daemonUser);
    const client = `const s = require("net").connect(process.env.MURMUR_SOCKET, () =>
      s.end('{"method":"status"}\\n')); s.pipe(process.stdout)`;
    const agent = await spawnAgent(
      daemon,
      "sh",
      "-c",
      `(${process.execPath} -e '${client.replaceAll("'", "'\\''")}' &); sleep 1000`,
    );
    await eventually(() =>
      expect(readFileSync(vm.output(agent.agentId), "utf8")).toBe(
        `{"id":null,"result":{"caller":"${agent.agentId}"}}\n`,
      ),
    );
  });

  test("keeps a second daemon from starting, also after a kill and a new start", async () => {
    const first = await startDaemon(daemonUser);
    await expect(startDaemon(daemonUser)).rejects.toThrow("the daemon has ended");
    await first.kill();
    const second = await startDaemon(daemonUser);
    expect(await second.states()).toEqual([]);
  });

  test("reports agents of an earlier boot as cancelled, and touches no process for it", async () => {
    const first = await startDaemon(daemonUser);
    const agent = await spawnAgent(first, "sleep", "1000");
    await first.kill();
    const second = await startDaemon(daemonUser, "another-boot");
    const [state] = await second.states();
    expect(state).toMatchObject({ phase: "cancelled", exit: { kind: "lost", why: "rebooted" } });
    expect(isAlive(agent.main!)).toBe(true);
    process.kill(agent.main!.pid, "SIGKILL");
    // Its shim still writes the status.
    const status = join(vm.stateDir, "events", `${agent.agentId}.exit`);
    await eventually(() => expect(existsSync(status)).toBe(true));
  });

  test("is killed at any instant of a spawn, and every agent is either whole or unknown", async () => {
    for (let round = 0; round < 8; round++) {
      const daemon = await startDaemon(daemonUser);
      const pending = spawnAgent(daemon, "sleep", "1000").catch(() => undefined);
      await eventually(() => undefined, { timeoutMs: 0 });
      const stop = process.hrtime.bigint() + BigInt(round * 1_500_000);
      while (process.hrtime.bigint() < stop) await Promise.resolve();
      await daemon.kill();
      await pending;
    }
    const last = await startDaemon(daemonUser);
    await eventually(async () => {
      for (const state of await last.states()) {
        expect(state.phase).toBe("running");
        expect(readProcess(state.main!.pid)?.name).toBe("sleep");
      }
    });
  });
});

const ofRootDaemons = (): void => {
  test("cannot reach the state directory, end its shim, or write a status", async () => {
    const daemon = await startDaemon();
    const script = `
      shim=$(cut -d' ' -f4 /proc/$$/stat)
      kill -9 $shim && echo killed-shim
      ls ${vm.stateDir} && echo listed
      echo 'exit 0' >${vm.stateDir}/events/x.exit && echo wrote
      ls /proc/self/fd | tr '\\n' ' '; pwd; exec sleep 1000`;
    const request = vm.request({ argv: ["sh", "-c", script], user: OTHER, cwd: "/tmp" });
    const agent = (await daemon.call({ method: "spawn", request })) as AgentState;
    const output = await eventually(() => {
      const text = readFileSync(vm.output(agent.agentId), "utf8");
      expect(text).toMatch(/\/tmp\n$/);
      return text;
    });
    expect(output).not.toMatch(/killed-shim|listed|wrote/);
    expect(output).toMatch(/^0 1 2 3 \/tmp$/m);
    expect(existsSync(join(vm.stateDir, "events", "x.exit"))).toBe(false);
  });

  test("cannot have a script sourced with root's rights through its env file", async () => {
    const daemon = await startDaemon();
    const request = vm.request({ argv: ["true"], user: OTHER }, `id -u >&2\n`);
    const agent = (await daemon.call({ method: "spawn", request })) as AgentState;
    await eventually(async () => expect((await daemon.states())[0]?.phase).toBe("completed"));
    expect(readFileSync(vm.output(agent.agentId), "utf8")).toBe(`${OTHER.uid}\n`);
  });

  test("fills the disk, and its exit status is kept all the same", async () => {
    const mounted = `mkdir ${vm.stateDir} && mount -t tmpfs -o size=300k,mode=700 none ${vm.stateDir}`;
    const daemon = await startDaemon(undefined, undefined, [
      "unshare",
      "-m",
      "sh",
      "-c",
      mounted + ' && exec "$@"',
      "sh",
    ]);
    const script = "dd if=/dev/zero bs=64k count=100; echo more && exit 1; exit 5";
    const request = vm.request({ argv: ["sh", "-c", script], user: OTHER });
    await daemon.call({ method: "spawn", request });
    await eventually(async () =>
      expect((await daemon.states())[0]?.exit).toEqual({ kind: "code", code: 5 }),
    );
  });

  test("does not enter a directory that only root may enter", async () => {
    const daemon = await startDaemon();
    const request = vm.request({ argv: ["pwd"], user: OTHER, cwd: vm.stateDir });
    await daemon.call({ method: "spawn", request });
    await eventually(async () =>
      expect((await daemon.states())[0]?.exit).toEqual({ kind: "code", code: 126 }),
    );
  });
};
// Only root can run agents as other users: elsewhere there is nothing here to prove.
if (isRoot) describe("an agent of another user than the root daemon's", ofRootDaemons);
