import { randomUUID, sign } from "node:crypto";
import { createRegisterKeys } from "../../catalog/vms/test-register";
import {
  never,
  startTestDelivery,
  type TestDelivery,
  variable,
} from "../../../test/harness/delivery";
import type { DeliveryClient } from "./delivery-session";

let rig: TestDelivery;
beforeAll(async () => {
  rig = await startTestDelivery();
});
afterAll(() => rig.stop());

describe("whoever stands between", () => {
  it("cannot answer in the catalog's place", async () => {
    const vm = await rig.createVm("between-1");
    const { privateKey } = createRegisterKeys().catalog;
    const forge = vm.deliveryFrom({
      ...vm.client,
      openDeliverySession: async (...args) => {
        const answer = await vm.client.openDeliverySession(...args);
        return { ...answer, signature: sign(null, Buffer.from("x"), privateKey) };
      },
    });
    const ref = vm.add({ variables: [variable("A", "1")] });
    await expect(forge.fetch([ref], never)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(vm.refusalCount()).toBe(1);
  });

  it("changes no byte of an answer, nor gives one for another, without being noticed", async () => {
    const vm = await rig.createVm("between-2");
    const refs = [1n, 2n].map((generation) =>
      vm.add({ generation, variables: [variable("A", `secret-${generation}`)] }),
    );
    const between = (change: (sealed: { iv: Buffer; ciphertext: Buffer }[]) => void) =>
      vm.deliveryFrom({
        ...vm.client,
        fetchEnvironments: async (...args) => {
          const answer = await vm.client.fetchEnvironments(...args);
          change(
            answer.environments.map(({ result }) => {
              if (result?.$case !== "sealed") throw new Error("not sealed");
              return result.value;
            }),
          );
          return answer;
        },
      });
    const changes: ((sealed: { iv: Buffer; ciphertext: Buffer }[]) => void)[] = [
      ([first]) => first!.ciphertext.writeUInt8(first!.ciphertext[0]! ^ 1, 0),
      ([first]) => first!.iv.writeUInt8(first!.iv[11]! ^ 1, 11),
      ([first]) => (first!.ciphertext = first!.ciphertext.subarray(1)),
      ([first]) => (first!.ciphertext = Buffer.alloc(3)),
      ([first]) => (first!.iv = Buffer.alloc(0)),
      ([first, second]) => Object.assign(first!, second!),
    ];
    for (const change of changes) {
      const [first, second] = await between(change).fetch(refs, never);
      expect(first).toMatchObject({ refusal: "tampered" });
      expect(second).toHaveProperty("set");
    }
  });

  it("gains nothing by an answer to an earlier request", async () => {
    const vm = await rig.createVm("between-3");
    const ref = vm.add({ variables: [variable("A", "1")] });
    let kept: Awaited<ReturnType<DeliveryClient["fetchEnvironments"]>> | undefined;
    const replaying = vm.deliveryFrom({
      ...vm.client,
      fetchEnvironments: async (...args) => (kept ??= await vm.client.fetchEnvironments(...args)),
    });
    expect((await replaying.fetch([ref], never))[0]).toHaveProperty("set");
    expect((await replaying.fetch([ref], never))[0]).toMatchObject({ refusal: "tampered" });
  });

  it("sees no value on the wire", async () => {
    const vm = await rig.createVm("between-4");
    const marked = `marked-${randomUUID()}`;
    const ref = vm.add({ variables: [variable("MARKED_NAME", marked)] });
    let seen = "";
    const watching = vm.deliveryFrom({
      ...vm.client,
      fetchEnvironments: async (...args) => {
        const answer = await vm.client.fetchEnvironments(...args);
        const [first] = answer.environments;
        if (first?.result?.$case === "sealed")
          seen = first.result.value.ciphertext.toString("latin1");
        return answer;
      },
    });
    const [fetched] = await watching.fetch([ref], never);
    expect(fetched).toHaveProperty("set");
    expect(seen.length).toBeGreaterThan(marked.length);
    expect(seen).not.toContain(marked);
    expect(seen).not.toContain("MARKED_NAME");
    expect(rig.logged.join("")).not.toContain(marked);
    expect(
      JSON.stringify(fetched, (_key, value: unknown) =>
        typeof value === "bigint" ? String(value) : value,
      ),
    ).not.toContain(marked);
  });

  it("answers with more, fewer or other environments to no use", async () => {
    const vm = await rig.createVm("between-5");
    const refs = [vm.add(), vm.add()];
    const wrong = [
      (list: unknown[]) => list.slice(1),
      (list: unknown[]) => [...list, ...list],
      (list: unknown[]) => [...list].reverse(),
    ];
    for (const change of wrong) {
      const odd = vm.deliveryFrom({
        ...vm.client,
        fetchEnvironments: async (...args) => {
          const answer = await vm.client.fetchEnvironments(...args);
          return { environments: change(answer.environments) as typeof answer.environments };
        },
      });
      await expect(odd.fetch(refs, never)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    }
  });
});
