import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { eventually } from "../../../test/harness/eventually";
import { createTestSocket, readAll, type TestSocket } from "../../../test/harness/local-socket";

let rig: TestSocket;
beforeEach(async () => {
  rig = await createTestSocket();
});
afterEach(() => rig.close());

describe("what a hostile caller costs", () => {
  /** Goes on sending until the connection ends. */
  function feed(socket: Socket, text: string): void {
    const timer = setInterval(() => socket.write(text), 5);
    socket.once("close", () => clearInterval(timer));
  }

  test("a line without an end is cut off at the limit", async () => {
    await rig.listen({}, { lineBytes: 1000 });
    const socket = connect(rig.vm.socketPath);
    socket.on("error", () => undefined);
    feed(socket, "x".repeat(400));
    expect(await readAll(socket)).toMatch(/"code":"RESOURCE_EXHAUSTED"/);
  });

  test("a caller that sends nothing, or byte by byte, is let go in time", async () => {
    await rig.listen({}, { requestMs: 100 });
    const silent = connect(rig.vm.socketPath);
    const slow = connect(rig.vm.socketPath);
    slow.on("error", () => undefined);
    feed(slow, " ");
    expect(await readAll(silent)).toMatch(/"code":"DEADLINE_EXCEEDED"/);
    expect(await readAll(slow).catch(() => "DEADLINE_EXCEEDED")).toMatch(/DEADLINE_EXCEEDED/);
  });

  test("a handler that hangs is told to stop, and the caller that time is up", async () => {
    let wasAborted = false;
    const onDaemonStatus = (signal: AbortSignal): Promise<object> =>
      new Promise(() => signal.addEventListener("abort", () => (wasAborted = true)));
    await rig.listen({ onDaemonStatus }, { answerMs: 100 });
    expect(await rig.ask('{"method":"daemon-status"}')).toMatch(/"code":"DEADLINE_EXCEEDED"/);
    expect(wasAborted).toBe(true);
  });

  test("a caller that takes no answers does not keep its connection", async () => {
    let asked = 0;
    const onDaemonStatus = (): Promise<object> => {
      asked++;
      return Promise.resolve({ text: "x".repeat(4_000_000) });
    };
    await rig.listen({ onDaemonStatus }, { answerMs: 100, requestMs: 2_000 });
    const socket = connect(rig.vm.socketPath, () => socket.write('{"method":"daemon-status"}\n'));
    socket.pause();
    await eventually(() => expect(asked).toBe(1));
    await eventually(() => expect(rig.server.openConnections).toBe(0));
    socket.destroy();
  });

  test("one caller cannot take all connections", async () => {
    await rig.listen({}, { connectionsPerCaller: 3 });
    const sockets = Array.from({ length: 3 }, () => connect(rig.vm.socketPath));
    await Promise.all(sockets.map((socket) => once(socket, "connect")));
    await eventually(() => expect(rig.server.openConnections).toBe(3));
    expect(await rig.ask('{"method":"ping"}')).toMatch(/"code":"RESOURCE_EXHAUSTED"/);
    const [agentId, answer] = await rig.askAsAgent("ask; sleep 1000");
    expect(answer).toContain(agentId);
    for (const socket of sockets) socket.destroy();
    await eventually(() => expect(rig.server.openConnections).toBe(0));
    expect(await rig.ask('{"method":"ping"}')).toMatch(/"result":{}/);
  });

  /** Sends `text` once the daemon has refused it, and reads only then. */
  async function askLate(text: string): Promise<string> {
    await eventually(() => expect(rig.server.openConnections).toBe(0));
    const socket = connect({ path: rig.vm.socketPath, allowHalfOpen: true });
    socket.pause();
    await once(socket, "connect");
    await eventually(() => expect(rig.server.openConnections).toBe(1));
    await new Promise<void>((resolve, reject) => {
      socket.write(text, (error) => (error ? reject(error) : resolve()));
    });
    socket.end();
    return readAll(socket);
  }

  test("a refusal is heard by a caller that still sends", async () => {
    await rig.listen({}, { connectionsPerCaller: 0 });
    const large = `${"x".repeat(1_000_000)}\n`;
    for (const text of ["", "x\n", large])
      expect(await askLate(text)).toMatch(/"code":"RESOURCE_EXHAUSTED"/);
    await eventually(() => expect(rig.server.openConnections).toBe(0));
  });

  test("so is the end of a connection for what was sent on it", async () => {
    await rig.listen({}, { lineBytes: 1000 });
    expect(await rig.ask("x".repeat(1_000_000))).toMatch(/"code":"RESOURCE_EXHAUSTED"/);
    await eventually(() => expect(rig.server.openConnections).toBe(0));
  });

  test("few of those who are refused may stay, and not for long", async () => {
    await rig.listen({}, { connectionsPerCaller: 0, refusals: 2, requestMs: 2_000 });
    const sockets = Array.from({ length: 5 }, () =>
      connect({ path: rig.vm.socketPath, allowHalfOpen: true }),
    );
    for (const socket of sockets) socket.on("error", () => undefined);
    const said = await Promise.all(
      sockets.map(async (socket) => String((await once(socket, "data"))[0])),
    );
    expect(said.filter((text) => text.includes("RESOURCE_EXHAUSTED"))).toHaveLength(5);
    await eventually(() => expect(rig.server.openConnections).toBeLessThanOrEqual(2));
    await eventually(() => expect(rig.server.openConnections).toBe(0));
    for (const socket of sockets) socket.destroy();
  });

  test("callers that vanish in mid-request leave nothing behind", async () => {
    await rig.listen();
    for (let round = 0; round < 50; round++) {
      const socket = connect(rig.vm.socketPath, () => {
        socket.write('{"method":"daemon-sta');
        socket.destroy();
      });
      socket.on("error", () => undefined);
      await once(socket, "close");
    }
    // Those before it in the queue were accepted, too.
    expect(await rig.ask('{"method":"ping"}')).toMatch(/"result":{}/);
    await eventually(() => expect(rig.server.openConnections).toBe(0));
  });
});
