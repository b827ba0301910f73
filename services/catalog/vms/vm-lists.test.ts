import { joinAs } from "./test-register";
import {
  startRegisterReplicas,
  type RegisterReplicas,
} from "../../../test/harness/register-replicas";

let replicas: RegisterReplicas;
let register: RegisterReplicas["register"];
beforeAll(async () => {
  replicas = await startRegisterReplicas();
  ({ register } = replicas);
});
afterAll(() => replicas.stop());

describe("lists", () => {
  it("pages by name and refuses garbled tokens and sizes", async () => {
    for (const name of ["page-c", "page-a", "page-b"]) await joinAs(register, name, "paged");
    const { vms } = await register.developer("paged", "member");
    const first = await vms.listVms({ pageSize: 2, pageToken: "" });
    expect(first.vms.map(({ name }) => name)).toEqual(["page-a", "page-b"]);
    const second = await vms.listVms({ pageSize: 2, pageToken: first.nextPageToken });
    expect(second.vms.map(({ name }) => name)).toEqual(["page-c"]);
    expect(second.nextPageToken).toBe("");
    await expect(vms.listVms({ pageSize: -1, pageToken: "" })).rejects.toMatchObject({
      metadata: { field: "page_size" },
    });
    await expect(vms.listVms({ pageSize: 0, pageToken: "x" })).rejects.toMatchObject({
      metadata: { field: "page_token" },
    });
  });
});
