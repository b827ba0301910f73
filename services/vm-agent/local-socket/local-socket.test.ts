import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { LocalSocketServer } from "./local-socket-server";
import { createTestSocket, type TestSocket } from "../../../test/harness/local-socket";

let rig: TestSocket;
beforeEach(async () => {
  rig = await createTestSocket();
});
afterEach(() => rig.close());

test("the socket of a killed daemon is taken over; a file of that name is not", async () => {
  await rig.listen();
  expect(statSync(rig.vm.socketPath).mode & 0o777).toBe(0o666);
  const stale = rig.server;
  const { systemCalls, handlers } = rig;
  const second = new LocalSocketServer({
    ...{ path: rig.vm.socketPath, systemCalls, handlers },
    ...{ agentOf: () => undefined, userOf: () => undefined, ownUid: 0 },
  });
  await second.start();
  await second.stop();
  await stale.stop();
  writeFileSync(rig.vm.socketPath, "mine");
  await expect(rig.listen()).rejects.toMatchObject({ code: "EADDRINUSE" });
  expect(readFileSync(rig.vm.socketPath, "utf8")).toBe("mine");
});

test("a path too long for a socket is refused by name", async () => {
  const path = join(rig.vm.directory, "x".repeat(108));
  const { systemCalls, handlers } = rig;
  const server = new LocalSocketServer({
    ...{ path, systemCalls, handlers },
    ...{ agentOf: () => undefined, userOf: () => undefined, ownUid: 0 },
  });
  await expect(server.start()).rejects.toThrow(/has over 107 bytes/);
});
