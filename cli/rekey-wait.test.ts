import type { AgentProcess } from "../gen/murmur/rotation/v1/agents";
import { processMessage } from "../test/fakes/process-message";
import type { FakeRotation } from "../test/fakes/fake-rotation";
import { RELOADED, RELOADING, RELOAD_FAILED, useRolloutRig } from "../test/harness/rollout-rig";

const rig = useRolloutRig();
const { murmur } = rig;
let rotation: FakeRotation;

beforeEach(() => {
  ({ rotation } = rig);
});

describe("murmur rekey --wait processes", () => {
  const on = (pid: number, generation: bigint, more: Partial<AgentProcess> = {}) =>
    processMessage({ pid, generation, layer: "exec", ...more });

  beforeEach(() => {
    rotation.isPrompt = true;
  });

  it("waits until every process has the new set or sees it with its next read", async () => {
    rotation.processes = [
      [on(10, 1n)],
      [on(20, 2n)],
      [on(10, 2n), on(11, 1n, { readsThrough: true, name: "node" })],
      [on(20, 2n)],
    ];
    expect(await murmur("rekey --wait processes fix-auth")).toEqual({
      code: 0,
      stdout: "Rekeyed\n",
      stderr:
        "fix-auth: agent and 1 of 2 processes on generation 2; pid 11 (node) reads through\n" +
        "fix-auth/tests: agent and 1 of 1 process on generation 2\n",
    });
  });

  describe("of agents with a reload", () => {
    beforeEach(() => {
      rotation.processes = Array.from({ length: 2_000 }, () => [on(10, 2n)]);
    });

    it("waits until it is over", async () => {
      rotation.reloads = [RELOADING, undefined, RELOADING, undefined, RELOADED];
      expect(await murmur("rekey --wait processes fix-auth")).toMatchObject({
        ...{ code: 0, stdout: "Rekeyed\n" },
      });
      expect(rotation.reloads).toEqual([]);
    });

    it("says that it failed, and is no success then", async () => {
      rotation.reloads = [RELOADING, undefined, RELOAD_FAILED];
      expect(await murmur("rekey --wait processes fix-auth")).toEqual({
        code: 1,
        stdout: "",
        stderr:
          "fix-auth: agent and 1 of 1 process on generation 2\n" +
          "fix-auth/tests: agent and 1 of 1 process on generation 2\n" +
          "warning: fix-auth: reload failed for generation 2: hook: exit 3\n" +
          "murmur: rekey fix-auth: the reload of fix-auth failed\n" +
          "The files are in place. What a hook wrote is in the log of its VM's daemon.\n",
      });
    });

    it("says that it is still under way when the time is over", async () => {
      rotation.reloads = Array.from({ length: 2_000 }, () => RELOADING);
      const { code, stdout, stderr } = await murmur("rekey --wait processes --timeout 6s fix-auth");
      expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
      expect(stderr).toContain(
        "the reloads of fix-auth, fix-auth/tests are still under way\n" +
          "The files are in place. Use murmur status to see how it ended.\n",
      );
    });

    it("with --json shows it for every agent", async () => {
      rotation.reloads = [RELOAD_FAILED];
      const { code, stdout } = await murmur("rekey --wait processes --json fix-auth");
      expect(code).toBe(1);
      const reload = { generation: 2, outcome: "failed", reason: "hook: exit 3" };
      expect(JSON.parse(stdout)).toMatchObject({
        processes: [{ path: "fix-auth", reload }, { path: "fix-auth/tests" }],
      });
    });
  });

  it("names who cannot be told, and is no success then", async () => {
    const java = processMessage({ pid: 4711, name: "java" });
    rotation.processes = Array.from({ length: 2_000 }, (_, at) =>
      at % 2 === 0 ? [on(10, 2n), java] : [on(20, 2n)],
    );
    const { code, stdout, stderr } = await murmur("rekey --wait processes fix-auth");
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain(
      "fix-auth: agent and 1 of 2 processes on generation 2; pid 4711 (java) cannot be told\n",
    );
    expect(stderr).toContain("1 of 3 processes is not known to use the new set\n");
  });
});
