import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../../../test/harness/eventually";
import { createTestVm, type TestVm } from "./test-vm";

let vm: TestVm;
beforeEach(() => (vm = createTestVm()));
afterEach(() => vm.close());

test("what an agent writes to both streams is kept in order, in a file of its user alone", async () => {
  const supervisor = vm.supervisor();
  const script = "echo 1; echo 2 >&2; echo 3; echo 4 >>/dev/stdout";
  const request = vm.request({ argv: ["sh", "-c", script] });
  await supervisor.spawn(request);
  await eventually(() => expect(supervisor.get(request.agentId)?.phase).toBe("completed"));
  expect(readFileSync(vm.output(request.agentId), "utf8")).toBe("1\n2\n3\n4\n");
  expect(statSync(vm.output(request.agentId)).mode & 0o777).toBe(0o600);
});

test("a flood of output is cut, the newest stays, and the agent goes on writing", async () => {
  const maxLogBytes = 1024 * 1024;
  const supervisor = vm.supervisor({ maxLogBytes, sweepEveryMs: 3_600_000 });
  // 8 MB, some of it at a time, then slowly on.
  const script = `i=0; while [ $i -lt 200 ]; do head -c 40000 /dev/zero | tr '\\0' x; i=$((i+1)); sleep 0.005; done
    echo flooded; : >flooded; until [ -e go ]; do sleep 0.02; done; echo last; sleep 1000`;
  const request = vm.request({ argv: ["sh", "-c", script], cwd: vm.directory });
  const { agentId } = await supervisor.spawn(request);
  const sizeOf = (path: string) => statSync(path).size;
  await eventually(() => expect(existsSync(join(vm.directory, "flooded"))).toBe(true), {
    timeoutMs: 40_000,
  });
  // Nobody writes now, so no cut is under way, or to come, once the output is below its limit.
  await eventually(() => expect(sizeOf(vm.output(agentId))).toBeLessThanOrEqual(maxLogBytes));
  expect(sizeOf(`${vm.output(agentId)}.1`)).toBe(maxLogBytes);
  writeFileSync(join(vm.directory, "go"), "");
  await eventually(() =>
    expect(readFileSync(vm.output(agentId), "latin1").slice(-5)).toBe("last\n"),
  );
  expect(sizeOf(vm.output(agentId))).toBeLessThanOrEqual(maxLogBytes + "last\n".length);
  expect(supervisor.get(agentId)?.phase).toBe("running");
}, 60_000);
