import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startVmAgent, type VmPlace } from "../../dev/stack/services";
import { eventually } from "../harness/eventually";
import { startTestStack, type TestStack } from "../harness/stack";

let stack: TestStack;
beforeAll(async () => {
  stack = await startTestStack({ vms: 2 });
}, 360_000);
afterAll(() => stack.stop(), 180_000);

/** Where a VM of the stack is; the first is 1. */
const vmAt = (number: number): VmPlace => {
  const { dataDir, runDir } = stack.place;
  const name = `vm-${number}`;
  return {
    ...{ name, runDir: join(runDir, name), stateDir: join(dataDir, "vms", name) },
    joinTokenFile: join(dataDir, "keys", `${name}-join-token`),
  };
};
/** The life of a VM that rotation listens to. */
const known = async ({ name }: VmPlace) => {
  const text =
    "select incarnation, incarnation_number::int as number from rotation.vms where name = $1";
  const [row] = await stack.query<{ incarnation: string; number: number }>(text, [name]);
  return row;
};
const logOf = (name: string) => readFileSync(join(stack.place.logDir, `${name}.log`), "utf8");

test("a VM that was restored from an older disk image comes back by itself", async () => {
  const vm = vmAt(1);
  const file = join(vm.stateDir, "incarnation");
  const older = readFileSync(file, "utf8");
  writeFileSync(file, "999\n");
  await stack.kill("vm-agent-1");
  await eventually(async () => expect((await known(vm))?.number).toBe(1000), {
    timeoutMs: 30_000,
  });
  writeFileSync(file, older);
  await stack.kill("vm-agent-1");
  await eventually(async () => expect((await known(vm))?.number).toBe(1001), {
    timeoutMs: 30_000,
  });
  expect(readFileSync(file, "utf8")).toBe("1001\n");
}, 360_000);

test("of a VM and its clone the one that was started last has the place, and the other says so", async () => {
  const vm = vmAt(2);
  await eventually(async () => expect(await known(vm)).toBeDefined(), { timeoutMs: 30_000 });
  const clone = {
    ...{ name: `${vm.name}-clone`, joinTokenFile: vm.joinTokenFile },
    ...{ runDir: `${vm.runDir}-clone`, stateDir: `${vm.stateDir}-clone` },
  };
  const original = await known(vm);
  cpSync(vm.stateDir, clone.stateDir, { recursive: true });
  const part = await startVmAgent(stack.place, clone);
  try {
    const cloned = await eventually(
      async () => {
        const life = await known(vm);
        expect(life?.incarnation).not.toBe(original?.incarnation);
        return life;
      },
      { timeoutMs: 30_000 },
    );
    const warnings = () =>
      logOf(vm.name).split("another machine with this VM's identity").length - 1;
    await eventually(() => expect(warnings()).toBeGreaterThan(1), { timeoutMs: 60_000 });
    expect(await known(vm)).toEqual(cloned);
  } finally {
    await part.stop();
  }
}, 360_000);
