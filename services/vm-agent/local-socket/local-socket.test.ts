import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { invalid } from "../../../lib/errors";
import { eventually } from "../../../test/harness/eventually";
import { findCgroupParent } from "../linux/cgroup";
import { loadSystemCalls, type SystemCalls } from "../linux/system-calls";
import { type Supervisor } from "../processes/supervisor";
import { createTestVm, type TestVm } from "../processes/test-vm";
import { type LocalHandlers } from "./local-handlers";
import { LocalSocketServer, type SocketLimits } from "./local-socket-server";

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
const STATUS = JSON.stringify({ id: "1", method: "status" });

let vm: TestVm;
let supervisor: Supervisor;
let server: LocalSocketServer;
let systemCalls: SystemCalls;
const calls: { method: string; callerId: string; request: unknown }[] = [];

const record =
  (method: string) =>
  (callerId: string, request: unknown): Promise<object> => {
    calls.push({ method, callerId, request });
    return Promise.resolve({ caller: callerId });
  };
const handlers: LocalHandlers = {
  onSpawnChild: record("spawn-child"),
  onAdoptChild: record("adopt-child"),
  onList: record("list"),
  onStatus: record("status"),
  onKill: record("kill"),
  onGetValues: record("get-values"),
  onGetSettings: (callerId) => Promise.resolve({ caller: callerId }),
  onDaemonStatus: () => Promise.resolve({ agents: 0 }),
};

async function listen(
  changed: Partial<LocalHandlers> = {},
  limits: Partial<SocketLimits> = {},
): Promise<void> {
  server = new LocalSocketServer({
    ...{ path: vm.socketPath, systemCalls, limits, handlers: { ...handlers, ...changed } },
    agentOf: (identity) => supervisor.agentOf(identity),
    userOf: (agentId) => supervisor.get(agentId)?.user.uid,
    ownUid: process.getuid?.() ?? -1,
  });
  await server.start();
}

beforeAll(async () => {
  systemCalls = await loadSystemCalls();
});
beforeEach(() => {
  calls.length = 0;
  vm = createTestVm();
  mkdirSync(dirname(vm.socketPath), { recursive: true });
  for (const [name, program] of Object.entries(PROGRAMS)) {
    writeFileSync(join(vm.directory, `${name}.js`), program);
  }
  supervisor = vm.supervisor();
});
afterEach(async () => {
  await server.stop();
  await vm.close();
});

/** What an agent gets that runs `script` with the client as "$client". */
async function askAsAgent(script: string, request = STATUS): Promise<[string, string]> {
  const client = `${process.execPath} ${join(vm.directory, "client.js")}`;
  const env = `export CLIENT='${client}' REQUEST='${request.replaceAll("'", "'\\''")}'\n`;
  const { agentId } = await supervisor.spawn(
    vm.request(
      { argv: ["sh", "-c", `ask() { $CLIENT "$MURMUR_SOCKET" "$REQUEST"; }\n${script}`] },
      env,
    ),
  );
  const answer = await eventually(() => {
    const text = readFileSync(vm.output(agentId), "utf8");
    expect(text).toMatch(/\n$/);
    return text;
  });
  return [agentId, answer];
}

/** A connection of this process: its user's, but no agent's. */
function ask(...lines: string[]): Promise<string> {
  const socket = connect(vm.socketPath, () =>
    socket.end(lines.map((line) => `${line}\n`).join("")),
  );
  return readAll(socket);
}

async function readAll(socket: Socket | NonNullable<ChildProcess["stdout"]>): Promise<string> {
  let text = "";
  for await (const chunk of socket) text += String(chunk);
  return text;
}

describe("who is asking", () => {
  test.each([
    ["the agent itself", 'exec $CLIENT $MURMUR_SOCKET "$REQUEST"'],
    ["a child", "ask; sleep 1000"],
    [
      "a grandchild in a session of its own",
      "setsid sh -c '$CLIENT $MURMUR_SOCKET \"$REQUEST\"'; sleep 1000",
    ],
    ["an orphan", "(sh -c 'sleep 0.1; $CLIENT $MURMUR_SOCKET \"$REQUEST\"' &); sleep 1000"],
    ["a process with an empty environment", 'env -i $CLIENT $MURMUR_SOCKET "$REQUEST"; sleep 1000'],
    [
      "a process that claims to be another agent",
      "MURMUR_AGENT=x MURMUR_DIR=/run/x ask; sleep 1000",
    ],
  ])("%s is known as the agent", async (_, script) => {
    await listen();
    const [agentId, answer] = await askAsAgent(script);
    expect(JSON.parse(answer)).toEqual({ id: "1", result: { caller: agentId } });
  });

  const ofGroups = async (): Promise<void> => {
    await supervisor.stop();
    supervisor = vm.supervisor({ cgroupParent });
    await listen();
    const [agentId, answer] = await askAsAgent(
      "setsid -f sh -c 'sleep 0.1; $CLIENT $MURMUR_SOCKET \"$REQUEST\"'; sleep 1000",
    );
    expect(JSON.parse(answer)).toMatchObject({ result: { caller: agentId } });
  };
  const GROUP_TEST = "an orphan in a session of its own is known by its control group";
  const cgroupParent = findCgroupParent();
  if (cgroupParent) test(GROUP_TEST, ofGroups);

  test("a process with an agent's environment that is not of its tree is not the agent", async () => {
    await listen();
    const { agentId } = await supervisor.spawn(vm.request({ argv: ["sleep", "1000"] }));
    // None of it shows while the process is about to become its command.
    const environ = await eventually(() => {
      const block = readFileSync(`/proc/${supervisor.get(agentId)!.main!.pid}/environ`, "utf8");
      expect(block).toContain("MURMUR_DIR=");
      return block;
    });
    const env = Object.fromEntries(
      environ.split("\0").map((entry) => entry.split("=")) as [string, string][],
    );
    const child = spawn(
      process.execPath,
      [join(vm.directory, "client.js"), vm.socketPath, STATUS],
      { env },
    );
    expect(await readAll(child.stdout)).toMatch(/"code":"PERMISSION_DENIED"/);
    expect(calls).toEqual([]);
  });

  test("two agents are told apart, whatever they send", async () => {
    await listen();
    const [one, first] = await askAsAgent(
      "ask; sleep 1000",
      JSON.stringify({ method: "status", params: { path: "a" } }),
    );
    const [other, second] = await askAsAgent("ask; sleep 1000", STATUS);
    expect(one).not.toBe(other);
    expect(JSON.parse(first)).toEqual({ id: null, result: { caller: one } });
    expect(JSON.parse(second)).toMatchObject({ result: { caller: other } });
  });

  // Only root can become another user.
  const isRoot = process.getuid?.() === 0;
  if (isRoot)
    test("a process of another user is refused, whether in an agent's tree or not", async () => {
      await listen();
      chmodSync(vm.directory, 0o755);
      const params = { names: ["TOKEN"] };
      const request = JSON.stringify({ method: "get-values", params });
      const stranger = "setpriv --reuid=65534 --regid=65534 --clear-groups";
      const [, inTree] = await askAsAgent(
        `${stranger} $CLIENT "$MURMUR_SOCKET" "$REQUEST"; sleep 1000`,
        request,
      );
      const client = [process.execPath, join(vm.directory, "client.js"), vm.socketPath, request];
      const outside = spawn("setpriv", [...stranger.split(" ").slice(1), ...client]);
      for (const answer of [inTree, await readAll(outside.stdout)])
        expect(answer).toMatch(/"code":"PERMISSION_DENIED"/);
      expect(calls).toEqual([]);
    });

  test("values are for agents: the daemon's own user gets none", async () => {
    await listen();
    const request = JSON.stringify({ method: "get-values", params: { names: ["TOKEN"] } });
    expect(JSON.parse(await ask(request))).toMatchObject({ error: { code: "PERMISSION_DENIED" } });
    expect(calls).toEqual([]);
    const [agentId] = await askAsAgent("ask; sleep 1000", request);
    expect(calls).toEqual([
      {
        method: "get-values",
        callerId: agentId,
        request: { method: "get-values", names: ["TOKEN"] },
      },
    ]);
  });

  test("a connection left to others by an agent's process that ended serves them no more", async () => {
    await listen();
    const testator = `${process.execPath} ${vm.directory}/testator.js`;
    // Its parent takes no note of its end.
    const [, answer] = await askAsAgent(`${testator} $MURMUR_SOCKET "$REQUEST" & exec sleep 1000`);
    expect(answer).toMatch(/"code":"PERMISSION_DENIED"/);
    expect(calls).toHaveLength(1);
  });

  test("the daemon's user may ask for the daemon's state, and an agent may not", async () => {
    await listen();
    const lines = [
      { id: "1", method: "ping" },
      { id: "2", method: "daemon-status" },
      { id: "3", method: "status" },
    ];
    const answers = (await ask(...lines.map((line) => JSON.stringify(line)))).trim().split("\n");
    expect(answers.map((line) => JSON.parse(line) as unknown)).toEqual([
      { id: "1", result: {} },
      { id: "2", result: { agents: 0 } },
      { id: "3", error: expect.objectContaining({ code: "PERMISSION_DENIED" }) as unknown },
    ]);
    const [, answer] = await askAsAgent(
      "ask; sleep 1000",
      JSON.stringify({ method: "daemon-status" }),
    );
    expect(answer).toMatch(/"code":"PERMISSION_DENIED"/);
  });
});

describe("what is asked", () => {
  test("a child's command and secrets arrive byte for byte, and the secrets do not print", async () => {
    await listen();
    const params = {
      slug: "child",
      argv: ["a b", "'\"$x\n", "é"],
      env: { TOKEN: "v$'\n\"" },
      working_directory: "/tmp",
    };
    await askAsAgent("ask; sleep 1000", JSON.stringify({ method: "spawn-child", params }));
    const request = calls[0]?.request as { env: Map<string, { expose(): string }> };
    expect(request).toMatchObject({ slug: "child", argv: params.argv, workingDirectory: "/tmp" });
    expect(request.env.get("TOKEN")?.expose()).toBe(params.env.TOKEN);
    expect(JSON.stringify([...request.env])).not.toContain("v$");
  });

  test("a process to adopt arrives by its number, with the values of the child", async () => {
    await listen();
    const params = { slug: "child", pid: 4711, env: { TOKEN: "v" } };
    await askAsAgent("ask; sleep 1000", JSON.stringify({ method: "adopt-child", params }));
    expect(calls).toMatchObject([
      { method: "adopt-child", request: { slug: "child", pid: 4711, workingDirectory: undefined } },
    ]);
  });

  test("a refusal tells code, reason and fields; a bug tells nothing", async () => {
    await listen({
      onDaemonStatus: () => Promise.reject(new Error("password=hunter2")),
    });
    expect(await ask('{"method": "daemon-status"}')).toBe(
      '{"id":null,"error":{"code":"INTERNAL","reason":"INTERNAL","message":"internal error"}}\n',
    );
    await server.stop();
    await listen({ onDaemonStatus: () => Promise.reject(invalid("slug", "slug is bad")) });
    expect(JSON.parse(await ask('{"id":"7","method": "daemon-status"}'))).toMatchObject({
      id: "7",
      error: { code: "INVALID_ARGUMENT", reason: "INVALID_FIELD", message: "slug is bad" },
    });
  });

  test.each([
    ["no JSON", "{", "request must be one line of JSON"],
    ["a list", "[]", "request must be an object"],
    ["null", "null", "request must be an object"],
    ["an unknown method", '{"method":"rekey"}', "method is unknown"],
    [
      "a number for an id",
      '{"id":1,"method":"ping"}',
      "id must be a string of at most 64 characters",
    ],
    ["a method of every object", '{"method":"constructor"}', "method is unknown"],
    ["no slug", '{"method":"spawn-child","params":{"argv":["x"]}}', "slug is required"],
    ...["1", "-5", "4194305", "7.5", '"7"', "null"].map((pid) => [
      `the pid ${pid}`,
      `{"method":"adopt-child","params":{"slug":"x","pid":${pid}}}`,
      "pid must be a number from 2 to 4194304",
    ]),
    [
      "no command",
      '{"method":"spawn-child","params":{"slug":"x"}}',
      "argv must be 1 to 1024 texts without NUL",
    ],
    [
      "a NUL in a command",
      '{"method":"spawn-child","params":{"slug":"x","argv":["a\\u0000"]}}',
      "argv must be 1 to 1024 texts without NUL",
    ],
    [
      "half a character",
      '{"method":"spawn-child","params":{"slug":"x","argv":["\\ud800"]}}',
      "argv must be 1 to 1024 texts without NUL",
    ],
    [
      "an environment that is a list",
      '{"method":"spawn-child","params":{"slug":"x","argv":["x"],"env":[1]}}',
      "env must be an object",
    ],
    [
      "a value that is a number",
      '{"method":"spawn-child","params":{"slug":"x","argv":["x"],"env":{"A":1}}}',
      "env must hold texts without NUL",
    ],
    [
      "a name that is a path",
      '{"method":"get-values","params":{"names":["../live"]}}',
      "names must be 1 to 100 names of variables",
    ],
    ["no names", '{"method":"get-values"}', "names must be 1 to 100 names of variables"],
    [
      "a field too many",
      '{"method":"ping","params":{"agent_id":"x"}}',
      "params holds a field that is unknown",
    ],
  ])("%s is refused by name, and the connection goes on", async (_, line, message) => {
    await listen();
    const answers = (await ask(line, '{"id":"next","method":"ping"}')).trim().split("\n");
    expect(JSON.parse(answers[0]!)).toMatchObject({ error: { code: "INVALID_ARGUMENT", message } });
    expect(JSON.parse(answers[1]!)).toEqual({ id: "next", result: {} });
  });

  test("anything at all is answered line by line, or refused, and the daemon lives", async () => {
    await listen();
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(fc.string(), fc.json()), { maxLength: 5 }),
        async (lines) => {
          const sent = lines.map((line) => line.replaceAll("\n", " "));
          const answers = (await ask(...sent, '{"id":"last","method":"ping"}')).trim().split("\n");
          expect(answers).toHaveLength(sent.length + 1);
          expect(JSON.parse(answers.at(-1)!)).toEqual({ id: "last", result: {} });
        },
      ),
      { numRuns: 100 },
    );
    const notUtf8 = connect(vm.socketPath, () => notUtf8.end(Buffer.from([0xff, 0x0a])));
    expect(await readAll(notUtf8)).toMatch(/request must be UTF-8/);
  });
});

describe("what a hostile caller costs", () => {
  /** Goes on sending until the connection ends. */
  function feed(socket: Socket, text: string): void {
    const timer = setInterval(() => socket.write(text), 5);
    socket.once("close", () => clearInterval(timer));
  }

  test("a line without an end is cut off at the limit", async () => {
    await listen({}, { lineBytes: 1000 });
    const socket = connect(vm.socketPath);
    socket.on("error", () => undefined);
    feed(socket, "x".repeat(400));
    expect(await readAll(socket)).toMatch(/"code":"RESOURCE_EXHAUSTED"/);
  });

  test("a caller that sends nothing, or byte by byte, is let go in time", async () => {
    await listen({}, { requestMs: 100 });
    const silent = connect(vm.socketPath);
    const slow = connect(vm.socketPath);
    slow.on("error", () => undefined);
    feed(slow, " ");
    expect(await readAll(silent)).toMatch(/"code":"DEADLINE_EXCEEDED"/);
    expect(await readAll(slow).catch(() => "DEADLINE_EXCEEDED")).toMatch(/DEADLINE_EXCEEDED/);
  });

  test("a handler that hangs is told to stop, and the caller that time is up", async () => {
    let wasAborted = false;
    const onDaemonStatus = (signal: AbortSignal): Promise<object> =>
      new Promise(() => signal.addEventListener("abort", () => (wasAborted = true)));
    await listen({ onDaemonStatus }, { answerMs: 100 });
    expect(await ask('{"method":"daemon-status"}')).toMatch(/"code":"DEADLINE_EXCEEDED"/);
    expect(wasAborted).toBe(true);
  });

  test("a caller that takes no answers does not keep its connection", async () => {
    let asked = 0;
    const onDaemonStatus = (): Promise<object> => {
      asked++;
      return Promise.resolve({ text: "x".repeat(4_000_000) });
    };
    await listen({ onDaemonStatus }, { answerMs: 100, requestMs: 2_000 });
    const socket = connect(vm.socketPath, () => socket.write('{"method":"daemon-status"}\n'));
    socket.pause();
    await eventually(() => expect(asked).toBe(1));
    await eventually(() => expect(server.openConnections).toBe(0));
    socket.destroy();
  });

  test("one caller cannot take all connections", async () => {
    await listen({}, { connectionsPerCaller: 3 });
    const sockets = Array.from({ length: 3 }, () => connect(vm.socketPath));
    await Promise.all(sockets.map((socket) => once(socket, "connect")));
    await eventually(() => expect(server.openConnections).toBe(3));
    expect(await ask('{"method":"ping"}')).toMatch(/"code":"RESOURCE_EXHAUSTED"/);
    const [agentId, answer] = await askAsAgent("ask; sleep 1000");
    expect(answer).toContain(agentId);
    for (const socket of sockets) socket.destroy();
    await eventually(() => expect(server.openConnections).toBe(0));
    expect(await ask('{"method":"ping"}')).toMatch(/"result":{}/);
  });

  /** Sends `text` once the daemon has refused it, and reads only then. */
  async function askLate(text: string): Promise<string> {
    await eventually(() => expect(server.openConnections).toBe(0));
    const socket = connect({ path: vm.socketPath, allowHalfOpen: true });
    socket.pause();
    await once(socket, "connect");
    await eventually(() => expect(server.openConnections).toBe(1));
    await new Promise<void>((resolve, reject) => {
      socket.write(text, (error) => (error ? reject(error) : resolve()));
    });
    socket.end();
    return readAll(socket);
  }

  test("a refusal is heard by a caller that still sends", async () => {
    await listen({}, { connectionsPerCaller: 0 });
    const large = `${"x".repeat(1_000_000)}\n`;
    for (const text of ["", "x\n", large])
      expect(await askLate(text)).toMatch(/"code":"RESOURCE_EXHAUSTED"/);
    await eventually(() => expect(server.openConnections).toBe(0));
  });

  test("so is the end of a connection for what was sent on it", async () => {
    await listen({}, { lineBytes: 1000 });
    expect(await ask("x".repeat(1_000_000))).toMatch(/"code":"RESOURCE_EXHAUSTED"/);
    await eventually(() => expect(server.openConnections).toBe(0));
  });

  test("few of those who are refused may stay, and not for long", async () => {
    await listen({}, { connectionsPerCaller: 0, refusals: 2, requestMs: 2_000 });
    const sockets = Array.from({ length: 5 }, () =>
      connect({ path: vm.socketPath, allowHalfOpen: true }),
    );
    for (const socket of sockets) socket.on("error", () => undefined);
    const said = await Promise.all(
      sockets.map(async (socket) => String((await once(socket, "data"))[0])),
    );
    expect(said.filter((text) => text.includes("RESOURCE_EXHAUSTED"))).toHaveLength(5);
    await eventually(() => expect(server.openConnections).toBeLessThanOrEqual(2));
    await eventually(() => expect(server.openConnections).toBe(0));
    for (const socket of sockets) socket.destroy();
  });

  test("callers that vanish in mid-request leave nothing behind", async () => {
    await listen();
    for (let round = 0; round < 50; round++) {
      const socket = connect(vm.socketPath, () => {
        socket.write('{"method":"daemon-sta');
        socket.destroy();
      });
      socket.on("error", () => undefined);
      await once(socket, "close");
    }
    // Those before it in the queue were accepted, too.
    expect(await ask('{"method":"ping"}')).toMatch(/"result":{}/);
    await eventually(() => expect(server.openConnections).toBe(0));
  });
});

test("the socket of a killed daemon is taken over; a file of that name is not", async () => {
  await listen();
  expect(statSync(vm.socketPath).mode & 0o777).toBe(0o666);
  const stale = server;
  const second = new LocalSocketServer({
    ...{ path: vm.socketPath, systemCalls, handlers },
    ...{ agentOf: () => undefined, userOf: () => undefined, ownUid: 0 },
  });
  await second.start();
  await second.stop();
  await stale.stop();
  writeFileSync(vm.socketPath, "mine");
  await expect(listen()).rejects.toMatchObject({ code: "EADDRINUSE" });
  expect(readFileSync(vm.socketPath, "utf8")).toBe("mine");
});

test("a path too long for a socket is refused by name", async () => {
  const path = join(vm.directory, "x".repeat(108));
  server = new LocalSocketServer({
    path,
    systemCalls,
    handlers,
    ...{ agentOf: () => undefined, userOf: () => undefined, ownUid: 0 },
  });
  await expect(server.start()).rejects.toThrow(/has over 107 bytes/);
});
