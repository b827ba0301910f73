import { spawn } from "node:child_process";
import { chmodSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../../../test/harness/eventually";
import { findCgroupParent } from "../linux/cgroup";
import {
  createTestSocket,
  readAll,
  STATUS,
  type TestSocket,
} from "../../../test/harness/local-socket";

let rig: TestSocket;
beforeEach(async () => {
  rig = await createTestSocket();
});
afterEach(() => rig.close());

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
    await rig.listen();
    const [agentId, answer] = await rig.askAsAgent(script);
    expect(JSON.parse(answer)).toEqual({ id: "1", result: { caller: agentId } });
  });

  const ofGroups = async (): Promise<void> => {
    await rig.supervisor.stop();
    rig.supervisor = rig.vm.supervisor({ cgroupParent });
    await rig.listen();
    const [agentId, answer] = await rig.askAsAgent(
      "setsid -f sh -c 'sleep 0.1; $CLIENT $MURMUR_SOCKET \"$REQUEST\"'; sleep 1000",
    );
    expect(JSON.parse(answer)).toMatchObject({ result: { caller: agentId } });
  };
  const GROUP_TEST = "an orphan in a session of its own is known by its control group";
  const cgroupParent = findCgroupParent();
  if (cgroupParent) test(GROUP_TEST, ofGroups);

  test("a process with an agent's environment that is not of its tree is not the agent", async () => {
    await rig.listen();
    const { agentId } = await rig.supervisor.spawn(rig.vm.request({ argv: ["sleep", "1000"] }));
    // None of it shows while the process is about to become its command.
    const environ = await eventually(() => {
      const block = readFileSync(`/proc/${rig.supervisor.get(agentId)!.main!.pid}/environ`, "utf8");
      expect(block).toContain("MURMUR_DIR=");
      return block;
    });
    const env = Object.fromEntries(
      environ.split("\0").map((entry) => entry.split("=")) as [string, string][],
    );
    const child = spawn(
      process.execPath,
      [join(rig.vm.directory, "client.js"), rig.vm.socketPath, STATUS],
      { env },
    );
    expect(await readAll(child.stdout)).toMatch(/"code":"PERMISSION_DENIED"/);
    expect(rig.calls).toEqual([]);
  });

  test("two agents are told apart, whatever they send", async () => {
    await rig.listen();
    const [one, first] = await rig.askAsAgent(
      "ask; sleep 1000",
      JSON.stringify({ method: "status", params: { path: "a" } }),
    );
    const [other, second] = await rig.askAsAgent("ask; sleep 1000", STATUS);
    expect(one).not.toBe(other);
    expect(JSON.parse(first)).toEqual({ id: null, result: { caller: one } });
    expect(JSON.parse(second)).toMatchObject({ result: { caller: other } });
  });

  // Only root can become another user.
  const isRoot = process.getuid?.() === 0;
  if (isRoot)
    test("a process of another user is refused, whether in an agent's tree or not", async () => {
      await rig.listen();
      chmodSync(rig.vm.directory, 0o755);
      const params = { names: ["TOKEN"] };
      const request = JSON.stringify({ method: "get-values", params });
      const stranger = "setpriv --reuid=65534 --regid=65534 --clear-groups";
      const [, inTree] = await rig.askAsAgent(
        `${stranger} $CLIENT "$MURMUR_SOCKET" "$REQUEST"; sleep 1000`,
        request,
      );
      const client = [
        process.execPath,
        join(rig.vm.directory, "client.js"),
        rig.vm.socketPath,
        request,
      ];
      const outside = spawn("setpriv", [...stranger.split(" ").slice(1), ...client]);
      for (const answer of [inTree, await readAll(outside.stdout)])
        expect(answer).toMatch(/"code":"PERMISSION_DENIED"/);
      expect(rig.calls).toEqual([]);
    });

  test("values are for agents: the daemon's own user gets none", async () => {
    await rig.listen();
    const request = JSON.stringify({ method: "get-values", params: { names: ["TOKEN"] } });
    expect(JSON.parse(await rig.ask(request))).toMatchObject({
      error: { code: "PERMISSION_DENIED" },
    });
    expect(rig.calls).toEqual([]);
    const [agentId] = await rig.askAsAgent("ask; sleep 1000", request);
    expect(rig.calls).toEqual([
      {
        method: "get-values",
        callerId: agentId,
        request: { method: "get-values", names: ["TOKEN"] },
      },
    ]);
  });

  test("a connection left to others by an agent's process that ended serves them no more", async () => {
    await rig.listen();
    const testator = `${process.execPath} ${rig.vm.directory}/testator.js`;
    // Its parent takes no note of its end.
    const [, answer] = await rig.askAsAgent(
      `${testator} $MURMUR_SOCKET "$REQUEST" & exec sleep 1000`,
    );
    expect(answer).toMatch(/"code":"PERMISSION_DENIED"/);
    expect(rig.calls).toHaveLength(1);
  });

  test("the daemon's user may ask for the daemon's state, and an agent may not", async () => {
    await rig.listen();
    const lines = [
      { id: "1", method: "ping" },
      { id: "2", method: "daemon-status" },
      { id: "3", method: "status" },
    ];
    const answers = (await rig.ask(...lines.map((line) => JSON.stringify(line))))
      .trim()
      .split("\n");
    expect(answers.map((line) => JSON.parse(line) as unknown)).toEqual([
      { id: "1", result: {} },
      { id: "2", result: { agents: 0 } },
      { id: "3", error: expect.objectContaining({ code: "PERMISSION_DENIED" }) as unknown },
    ]);
    const [, answer] = await rig.askAsAgent(
      "ask; sleep 1000",
      JSON.stringify({ method: "daemon-status" }),
    );
    expect(answer).toMatch(/"code":"PERMISSION_DENIED"/);
  });
});
