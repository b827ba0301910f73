import { connect, type Socket } from "node:net";
import { type ChildProcess } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { eventually } from "./eventually";
import { loadSystemCalls, type SystemCalls } from "../../services/vm-agent/linux/system-calls";
import { type Supervisor } from "../../services/vm-agent/processes/supervisor";
import { createTestVm, type TestVm } from "../../services/vm-agent/processes/test-vm";
import { type LocalHandlers } from "../../services/vm-agent/local-socket/local-handlers";
import {
  LocalSocketServer,
  type SocketLimits,
} from "../../services/vm-agent/local-socket/local-socket-server";

/** Programs that agents and others run, each with the socket's path and a request as arguments. */
const PROGRAMS = {
  /** Sends the request and prints what comes back. */
  client: `
    const s = require("net").connect(process.argv[2], () => s.end(process.argv[3] + "\\n"));
    s.on("data", (d) => process.stdout.write(d)).on("error", (e) => console.log(e.code));`,
  /** Once answered, leaves its connection to an heir, and ends. */
  testator: `
    const s = require("net").connect(process.argv[2], () => s.write(process.argv[3] + "\\n"));
    s.once("data", () => {
      const heir = __dirname + "/heir.js";
      const stdio = ["ignore", "inherit", "inherit", s._handle];
      require("child_process")
        .spawn(process.execPath, [heir, String(process.pid), process.argv[3]], { stdio })
        .on("spawn", () => process.exit());
    });`,
  /** Sends the request on the connection it was left, when the one that left it has ended. */
  heir: `
    const s = new (require("net").Socket)({ fd: 3, allowHalfOpen: true });
    s.on("data", (d) => process.stdout.write(d)).on("error", (e) => console.log(e.code));
    const hasEnded = () => {
      try {
        const status = require("fs").readFileSync("/proc/" + process.argv[2] + "/status", "utf8");
        return /^State:\\s+Z/m.test(status) && /^Threads:\\s+1$/m.test(status);
      } catch {
        return true;
      }
    };
    const timer = setInterval(() => {
      if (!hasEnded()) return;
      clearInterval(timer);
      s.end(process.argv[3] + "\\n");
    }, 5);`,
};
/** Any request. */
export const STATUS = JSON.stringify({ id: "1", method: "status" });

/** What a handler was asked, and by whom. */
interface Call {
  method: string;
  callerId: string;
  request: unknown;
}

/** The local socket of a VM of its own. */
export interface TestSocket {
  readonly vm: TestVm;
  readonly systemCalls: SystemCalls;
  readonly calls: readonly Call[];
  /** They note each call and answer with who called. */
  readonly handlers: LocalHandlers;
  /** Whose agents are known; may be replaced before `listen`. */
  supervisor: Supervisor;
  /** The one that listens. */
  readonly server: LocalSocketServer;
  listen(changed?: Partial<LocalHandlers>, limits?: Partial<SocketLimits>): Promise<void>;
  /** The agent that runs `script`, with the client as `ask` and "$CLIENT", and what it wrote. */
  askAsAgent(script: string, request?: string): Promise<[agentId: string, answer: string]>;
  /** By a connection of this process: its user's, but no agent's. */
  ask(...lines: string[]): Promise<string>;
  close(): Promise<void>;
}

export async function createTestSocket(): Promise<TestSocket> {
  const systemCalls = await loadSystemCalls();
  const vm = createTestVm();
  mkdirSync(dirname(vm.socketPath), { recursive: true });
  for (const [name, program] of Object.entries(PROGRAMS))
    writeFileSync(join(vm.directory, `${name}.js`), program);
  const calls: Call[] = [];
  const handlers = recordingHandlers(calls);
  let server: LocalSocketServer | undefined;
  const rig: TestSocket = {
    ...{ vm, systemCalls, calls, handlers, supervisor: vm.supervisor() },
    get server() {
      if (!server) throw new Error("nothing listens");
      return server;
    },
    async listen(changed = {}, limits = {}) {
      server = new LocalSocketServer({
        ...{ path: vm.socketPath, systemCalls, limits, handlers: { ...handlers, ...changed } },
        agentOf: (identity) => rig.supervisor.agentOf(identity),
        userOf: (agentId) => rig.supervisor.get(agentId)?.user.uid,
        ownUid: process.getuid?.() ?? -1,
      });
      await server.start();
    },
    askAsAgent: (script, request = STATUS) => askAsAgent(rig, script, request),
    ask(...lines) {
      const socket = connect(vm.socketPath, () =>
        socket.end(lines.map((line) => `${line}\n`).join("")),
      );
      return readAll(socket);
    },
    async close() {
      await server?.stop();
      await vm.close();
    },
  };
  return rig;
}

async function askAsAgent(
  { vm, supervisor }: TestSocket,
  script: string,
  request: string,
): Promise<[string, string]> {
  const client = `${process.execPath} ${join(vm.directory, "client.js")}`;
  const env = `export CLIENT='${client}' REQUEST='${request.replaceAll("'", "'\\''")}'\n`;
  const argv = ["sh", "-c", `ask() { $CLIENT "$MURMUR_SOCKET" "$REQUEST"; }\n${script}`];
  const { agentId } = await supervisor.spawn(vm.request({ argv }, env));
  const answer = await eventually(() => {
    const text = readFileSync(vm.output(agentId), "utf8");
    expect(text).toMatch(/\n$/);
    return text;
  });
  return [agentId, answer];
}

function recordingHandlers(calls: Call[]): LocalHandlers {
  const record =
    (method: string) =>
    (callerId: string, request: unknown): Promise<object> => {
      calls.push({ method, callerId, request });
      return Promise.resolve({ caller: callerId });
    };
  return {
    onSpawnChild: record("spawn-child"),
    onAdoptChild: record("adopt-child"),
    onList: record("list"),
    onStatus: record("status"),
    onKill: record("kill"),
    onGetValues: record("get-values"),
    onGetSettings: (callerId) => Promise.resolve({ caller: callerId }),
    onDaemonStatus: () => Promise.resolve({ agents: 0 }),
  };
}

/** All that comes until the other end has ended. */
export async function readAll(
  socket: Socket | NonNullable<ChildProcess["stdout"]>,
): Promise<string> {
  let text = "";
  for await (const chunk of socket) text += String(chunk);
  return text;
}
