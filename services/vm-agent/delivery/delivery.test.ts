import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { createLog } from "../../../lib/log";
import { startTestRegister } from "../../catalog/vms/test-register";
import {
  never,
  startTestDelivery,
  type TestDelivery,
  variable,
} from "../../../test/harness/delivery";
import { eventually } from "../../../test/harness/eventually";
import type { DeliveryClient } from "./delivery-session";

let rig: TestDelivery;
beforeAll(async () => {
  rig = await startTestDelivery();
});
afterAll(() => rig.stop());

describe("a fetch", () => {
  it("brings sets byte for byte, with their files, names to unset and fingerprint", async () => {
    const vm = await rig.createVm("fetch-1");
    const values = [Buffer.alloc(65_536, 0xff), Buffer.from("\n'\"$\\=#é"), Buffer.alloc(0)];
    const ref = vm.add({
      variables: values.map((value, at) => ({ name: `N${at}`, value, asFile: at === 0 })),
      unsetNames: ["GONE"],
    });
    const [fetched] = await vm.fetch([ref], never);
    expect(fetched).toMatchObject(ref);
    if (!fetched || !("set" in fetched)) throw new Error("no set");
    expect(fetched.set.variables.map(({ value }) => value.expose())).toEqual(values);
    expect(fetched.set.variables.map(({ delivery }) => delivery)).toEqual([
      "file",
      "environment",
      "environment",
    ]);
    expect(fetched.set.unset).toEqual(["GONE"]);
    expect(fetched.fingerprint).toHaveLength(32);
    expect(fetched.set.fingerprint).toBe(fetched.fingerprint.toString("hex"));
  });

  it("tells each refusal apart and lets none hold up the others", async () => {
    const vm = await rig.createVm("fetch-2");
    const good = vm.add({ variables: [variable("A", "1")] });
    const refusals = ["not-available", "tampered", "away"] as const;
    const refs = refusals.map((refusal) => vm.add({ refusal }));
    const fetched = await vm.fetch([...refs, good], never);
    expect(fetched.slice(0, 3)).toEqual(refs.map((ref, at) => ({ ...ref, refusal: refusals[at] })));
    expect(fetched[3]).toHaveProperty("set");
    expect(rig.logged.join("")).toContain("environment fails its MAC");
  });

  it("asks again for what did not fit into one answer, and for more than 500", async () => {
    const vm = await rig.createVm("fetch-3");
    const value = Buffer.alloc(60_000, 7);
    const large = Array.from({ length: 120 }, () => vm.add({ variables: [{ name: "A", value }] }));
    const small = Array.from({ length: 900 }, () => vm.add({ variables: [variable("A", "1")] }));
    let calls = 0;
    const counting: DeliveryClient = {
      ...vm.client,
      fetchEnvironments: (...args) => {
        calls++;
        return vm.client.fetchEnvironments(...args);
      },
    };
    const fetched = await vm.deliveryFrom(counting).fetch([...large, ...small], never);
    expect(fetched.filter((each) => "set" in each)).toHaveLength(1020);
    expect(new Set(fetched.map(({ agentId }) => agentId)).size).toBe(1020);
    expect(calls).toBeGreaterThan(2);
    expect(calls).toBeLessThan(8);
  });

  it("delivers one set that is larger than an answer should be", async () => {
    const vm = await rig.createVm("fetch-4");
    const variables = Array.from({ length: 54 }, (_, at) => {
      return { name: `N${10 + at}`, value: Buffer.alloc(65_536, at) };
    });
    const [fetched] = await vm.fetch([vm.add({ variables })], never);
    expect(fetched).toHaveProperty("set");
  });

  it("agrees on one session for many fetches, and on a new one when the replica was restarted", async () => {
    const keep = { pool: rig.database.pool, keys: rig.keys, environments: rig.environments.opener };
    const first = await startTestRegister(keep);
    const second = await startTestRegister(keep);
    const vm = await rig.createVm("session-1", "acme", first);
    const elsewhere = second.vm(vm.identity.key, vm.joined.vmToken).delivery;
    let sessions = 0;
    let replica: DeliveryClient = vm.client;
    const counted = vm.deliveryFrom({
      openDeliverySession: (...args) => {
        sessions++;
        return replica.openDeliverySession(...args);
      },
      fetchEnvironments: (...args) => replica.fetchEnvironments(...args),
    });
    const ref = vm.add({ variables: [variable("A", "1")] });
    const many = await Promise.all(Array.from({ length: 10 }, () => counted.fetch([ref], never)));
    expect(many.flat().every((each) => "set" in each)).toBe(true);
    expect(sessions).toBe(1);
    replica = elsewhere;
    expect((await counted.fetch([ref], never))[0]).toHaveProperty("set");
    expect(sessions).toBe(2);
    await Promise.all([first.stop(), second.stop()]);
  });

  it("loses its session to a clone of the VM by saying so, and gives up until the next pass", async () => {
    const vm = await rig.createVm("session-2");
    const ref = vm.add({ variables: [variable("A", "1")] });
    const lines: string[] = [];
    const ownLog = createLog("test", "warn", { write: (line) => lines.push(line) });
    const original = vm.deliveryFrom(
      {
        ...vm.client,
        fetchEnvironments: async (...args) => {
          await vm.deliveryFrom(vm.client).fetch([ref], never);
          return vm.client.fetchEnvironments(...args);
        },
      },
      ownLog,
    );
    await expect(original.fetch([ref], never)).rejects.toMatchObject({
      reason: ErrorReason.ERROR_REASON_DELIVERY_SESSION_UNKNOWN,
    });
    expect(lines.join("")).toContain("another machine may have this identity");
  });

  it("says UNAVAILABLE when the catalog is away, and works when it is back", async () => {
    const gone = await startTestRegister({ pool: rig.database.pool, keys: rig.keys });
    const vm = await rig.createVm("away-1", "acme", gone);
    await gone.stop();
    const refs = [vm.add({ variables: [variable("A", "1")] })];
    await expect(vm.fetch(refs, never)).rejects.toBeInstanceOf(Error);
    const back = vm.deliveryFrom(rig.register.vm(vm.identity.key, vm.joined.vmToken).delivery);
    await eventually(async () => {
      expect((await back.fetch(refs, never))[0]).toHaveProperty("set");
    });
  });
});
