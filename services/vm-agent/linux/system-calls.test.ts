import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, closeSync, mkdtempSync, openSync, rmSync, statSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { buildSync } from "esbuild";
import { eventually } from "../../../test/harness/eventually";
import { DirectoryInUse, lockDirectory } from "./directory-lock";
import { readPeer } from "./peer";
import { readProcess, readProcessTable } from "./proc";
import { loadSystemCalls, type SystemCalls } from "./system-calls";

let systemCalls: SystemCalls;
let directory: string;
beforeAll(async () => {
  systemCalls = await loadSystemCalls();
});
beforeEach(() => (directory = mkdtempSync(join(tmpdir(), "murmur-linux-"))));
afterEach(() => rmSync(directory, { recursive: true }));

describe("the peer of a unix socket", () => {
  let server: Server;
  let path: string;
  beforeEach(async () => {
    path = join(directory, "socket");
    server = createServer().listen(path);
    await once(server, "listening");
  });
  // A test that failed leaves none of them behind: each would keep Jest from ending.
  const leftovers: (() => unknown)[] = [];
  afterEach(() => {
    for (const end of leftovers.splice(0)) end();
    server.close();
  });

  const accept = async (script: string): Promise<{ client: ChildProcess; socket: Socket }> => {
    const accepted = once(server, "connection") as Promise<[Socket]>;
    const client = spawn(process.execPath, ["-e", script, path]);
    leftovers.push(() => client.kill("SIGKILL"));
    const [socket] = await accepted;
    leftovers.push(() => socket.destroy());
    return { client, socket };
  };
  const readChildren = (pid: number): number[] =>
    [...readProcessTable().values()].filter((it) => it.parentPid === pid).map((it) => it.pid);
  const fdOf = (socket: Socket): number =>
    (socket as unknown as { _handle: { fd: number } })._handle.fd;

  test("is the process that connected, with its start time and user", async () => {
    const script = `require("net").connect(process.argv[1])`;
    const { client, socket } = await accept(script);
    const peer = readPeer(systemCalls, fdOf(socket))!;
    expect(peer).toMatchObject({
      pid: client.pid,
      uid: process.getuid?.(),
      gid: process.getgid?.(),
    });
    expect(peer.startTime).toBe(readProcess(client.pid!)?.startTime);
    expect(peer.isStillThere()).toBe(true);
    client.kill("SIGKILL");
    await once(client, "exit");
    expect(peer.isStillThere()).toBe(false);
    peer.release();
    peer.release();
  });

  test("is nobody once the process has ended, though another holds the connection", async () => {
    // The grandchild inherits the connection as its standard input and outlives the one it is from.
    const script = `const s = require("net").connect(process.argv[1], () => {
      require("child_process").spawn("sleep", ["1000"], { stdio: [s._handle, "ignore", "ignore"], detached: true }).unref();
      process.stdout.write("handed\\n"); });
      process.stdin.on("end", () => process.exit()).resume()`;
    const { client, socket } = await accept(script);
    await once(client.stdout!, "data");
    const [holder] = readChildren(client.pid!);
    leftovers.push(() => process.kill(holder!, "SIGKILL"));
    client.stdin!.end();
    await once(client, "exit");
    expect(readPeer(systemCalls, fdOf(socket))).toBeUndefined();
    expect(socket.readableEnded).toBe(false);
  });

  test("is nobody once the process has ended, although its parent takes note of no child", async () => {
    // The client hands its connection on, and ends when the test says so: its parent never waits.
    const script = `const s = require("net").connect(process.argv[1], () => {
      require("child_process").spawn("sleep", ["1000"], { stdio: [s._handle, "ignore", "ignore"], detached: true }).unref();
      process.stdin.on("end", () => process.exit()).resume(); });`;
    const accepted = once(server, "connection") as Promise<[Socket]>;
    const shell = '"$@" <&3 & exec sleep 1000';
    const words = ["sh", process.execPath, "-e", script, path];
    const parent = spawn("sh", ["-c", shell, ...words], {
      stdio: ["ignore", "ignore", "inherit", "pipe"],
    });
    leftovers.push(() => parent.kill("SIGKILL"));
    const [socket] = await accepted;
    leftovers.push(() => socket.destroy());
    const peer = readPeer(systemCalls, fdOf(socket))!;
    expect(peer.isStillThere()).toBe(true);
    const holder = await eventually(() => {
      const [child] = readChildren(peer.pid);
      if (child === undefined) throw new Error("the connection has no heir yet");
      return child;
    });
    leftovers.push(() => process.kill(holder, "SIGKILL"));
    (parent.stdio[3] as Socket).end();
    await eventually(() => expect(readProcess(peer.pid)).toMatchObject({ state: "Z", threads: 1 }));
    expect(peer.isStillThere()).toBe(false);
    expect(readPeer(systemCalls, fdOf(socket))).toBeUndefined();
    expect(socket.readableEnded).toBe(false);
    peer.release();
  });

  test("keeps no descriptor after it was released", async () => {
    const { socket } = await accept(`require("net").connect(process.argv[1])`);
    const before = openSync("/dev/null", "r");
    closeSync(before);
    for (let round = 0; round < 50; round++) readPeer(systemCalls, fdOf(socket))?.release();
    const after = openSync("/dev/null", "r");
    closeSync(after);
    expect(after).toBe(before);
  });
});

test("a directory has one daemon at a time, and the next one when that has let go", () => {
  const lock = lockDirectory(systemCalls, directory);
  expect(() => lockDirectory(systemCalls, directory)).toThrow(DirectoryInUse);
  expect(() => lockDirectory(systemCalls, directory)).toThrow(`(pid ${process.pid})`);
  lock.release();
  lock.release();
  lockDirectory(systemCalls, directory).release();
});

test("a sealed process dumps no core, shows its memory to nobody, and passes nothing on", async () => {
  const bundle = join(directory, "sealed.js");
  const contents = `
    import { loadSystemCalls } from ${JSON.stringify(join(__dirname, "system-calls.ts"))};
    import { spawn } from "node:child_process";
    void loadSystemCalls().then((calls) => {
      calls.seal();
      spawn("sh", ["-c", "ulimit -c; ulimit -Hc; ls /proc/self/fd | tr '\\\\n' ' '; echo"], { stdio: "inherit" });
      setTimeout(() => {}, 1e6);
    });`;
  const koffi = require.resolve("koffi");
  buildSync({
    ...{ stdin: { contents, resolveDir: __dirname, loader: "ts" }, outfile: bundle },
    ...{ bundle: true, platform: "node", external: [koffi], alias: { koffi } },
  });
  const leaked = openSync(bundle, "r");
  // Root owns its processes' entries anyway; anybody else's become root's.
  const user = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
  chmodSync(directory, 0o755);
  const child = spawn(process.execPath, [bundle], {
    ...{ stdio: ["ignore", "pipe", "inherit", leaked], ...user },
  });
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  expect((await lines.next()).value).toBe("0");
  expect((await lines.next()).value).toBe("0");
  // Descriptor 3 is the directory that ls itself has opened.
  expect((await lines.next()).value).toBe("0 1 2 3 ");
  const { uid } = statSync(`/proc/${child.pid}/environ`);
  expect(uid).toBe(0);
  closeSync(leaked);
  child.kill("SIGKILL");
  await once(child, "exit");
});
