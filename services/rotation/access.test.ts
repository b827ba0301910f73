import { fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { DESCRIPTOR_SET } from "../../gen/descriptor-set";
import { AgentServiceService } from "../../gen/murmur/rotation/v1/agents";
import { BindingServiceService } from "../../gen/murmur/rotation/v1/bindings";
import { CredentialServiceService } from "../../gen/murmur/rotation/v1/credentials";
import { IdentityServiceService } from "../../gen/murmur/rotation/v1/identity";
import { PeopleServiceService } from "../../gen/murmur/rotation/v1/people";
import { RolloutServiceService } from "../../gen/murmur/rotation/v1/rollouts";
import { SelfRotationServiceService } from "../../gen/murmur/rotation/v1/self_rotation";
import { TenantServiceService } from "../../gen/murmur/rotation/v1/tenants";
import { VmSyncServiceService } from "../../gen/murmur/rotation/v1/vm_sync";
import { checkAccess } from "../../lib/grpc/access";
import type { Principal } from "../../lib/identity/principal";
import { ROTATION_ACCESS } from "./access";

function rpcs(): string[] {
  const set = fromBinary(FileDescriptorSetSchema, Buffer.from(DESCRIPTOR_SET, "base64"));
  return set.file
    .filter((file) => ["murmur.rotation.v1", "murmur.audit.v1"].includes(file.package))
    .flatMap((file) =>
      file.service.flatMap(({ name, method }) =>
        method.map((rpc) => `/${file.package}.${name}/${rpc.name}`),
      ),
    );
}

/** All but those that are for whoever comes. */
function guarded(): string[] {
  return rpcs().filter((path) => !ROTATION_ACCESS[path]?.anyone);
}

const MEMBER: Principal = {
  kind: "developer",
  tenantId: "t1",
  id: "github/alice",
  role: "member",
  firstIssuedAt: 0,
  expiresAt: new Date(),
};
const VM: Principal = { kind: "vm", tenantId: "t1", id: "vm", name: "vm-1", keyThumbprint: "x" };
const OPERATOR: Principal = {
  ...{ kind: "operator", tenantId: "", id: "github/dana", expiresAt: new Date() },
};
const SERVICE: Principal = { kind: "service", tenantId: "t1", id: "another" };

describe("the access table", () => {
  it("has a row for every RPC of the contract, and none besides", () => {
    expect(Object.keys(ROTATION_ACCESS).sort()).toEqual(rpcs().sort());
  });

  it("lets anyone sign in, register and rotate: what they present is in the request", () => {
    const open = rpcs().filter((path) => ROTATION_ACCESS[path]?.anyone);
    const { registerAgent, rotateSelf } = SelfRotationServiceService;
    const { getSignIn, exchangeToken } = IdentityServiceService;
    const { getTenantDeletion } = TenantServiceService;
    const forAnyone = [registerAgent, rotateSelf, getSignIn, exchangeToken, getTenantDeletion];
    expect(open.sort()).toEqual(forAnyone.map(({ path }) => path as string).sort());
  });

  it.each(guarded())("%s lets in nobody without a credential, and no service", (path) => {
    const row = ROTATION_ACCESS[path] ?? {};
    expect(() => checkAccess(row, undefined)).toThrow("identity token is missing or expired");
    expect(() => checkAccess(row, SERVICE)).toThrow("permission denied");
  });

  const openTo = (principal: Principal) =>
    guarded().filter((path) => {
      try {
        checkAccess(ROTATION_ACCESS[path] ?? {}, principal);
        return true;
      } catch {
        return false;
      }
    });

  it.each(["catalog", "gateway", "verifier"])(
    "lets %s verify credentials and hear of their changes, and nothing else",
    (id) => {
      const { verifyCredential, verifyCredentials, awaitCredentialChanges } =
        CredentialServiceService;
      const { verifyIdentityTokens } = IdentityServiceService;
      const forServices = [
        ...[verifyCredential, verifyCredentials, awaitCredentialChanges, verifyIdentityTokens],
      ];
      const paths = forServices.map(({ path }) => path as string);
      expect(openTo({ ...SERVICE, id }).sort()).toEqual(paths.sort());
    },
  );

  it("lets an operator's proxy say what it sees, and nothing else", () => {
    const { observeKey, recordHistory } = BindingServiceService;
    const open = openTo({ ...SERVICE, id: "llm-proxy" });
    expect(open.sort()).toEqual([observeKey.path, recordHistory.path].sort());
    for (const { path } of [observeKey, recordHistory])
      expect(() => checkAccess(ROTATION_ACCESS[path] ?? {}, MEMBER)).toThrow("permission denied");
  });

  it.each(guarded())("%s lets in no agent", (path) => {
    const agent: Principal = {
      kind: "agent",
      tenantId: "t1",
      id: "my-coder",
      tokenId: "x",
      owner: "github/alice",
    };
    expect(() => checkAccess(ROTATION_ACCESS[path] ?? {}, agent)).toThrow();
  });

  it("lets VMs do what the contract says, and nothing else", () => {
    expect(openTo(VM).sort()).toEqual(
      [
        AgentServiceService.spawnAgent.path,
        AgentServiceService.getAgent.path,
        AgentServiceService.listAgents.path,
        AgentServiceService.killAgent.path,
        VmSyncServiceService.watchVm.path,
        VmSyncServiceService.syncVm.path,
        SelfRotationServiceService.listDueRotations.path,
        SelfRotationServiceService.rotateForAgent.path,
      ].sort(),
    );
  });

  it("lets owners alone grant roles, and delete the tenant", () => {
    const { addPerson, setPersonRole, removePerson } = PeopleServiceService;
    const { deleteTenant } = TenantServiceService;
    const rows = Object.entries(ROTATION_ACCESS).filter(([, it]) => it.developer === "owner");
    expect(rows).toEqual(
      [addPerson, setPersonRole, removePerson, deleteTenant].map(({ path }) => [
        path,
        { developer: "owner" },
      ]),
    );
  });

  it("lets operators read the audit of what is nobody's, and do nothing else", () => {
    const isFor = (path: string) => ROTATION_ACCESS[path]?.operator === true;
    const { getIdentity } = IdentityServiceService;
    const audit = rpcs().filter((path) => path.startsWith("/murmur.audit."));
    expect(rpcs().filter(isFor).sort()).toEqual([...audit, getIdentity.path].sort());
    for (const path of guarded().filter((it) => !isFor(it)))
      expect(() => checkAccess(ROTATION_ACCESS[path] ?? {}, OPERATOR)).toThrow("permission denied");
  });

  it("shows the audit to admins and owners alone", () => {
    for (const path of rpcs().filter((it) => it.startsWith("/murmur.audit."))) {
      const row = ROTATION_ACCESS[path] ?? {};
      expect(() => checkAccess(row, MEMBER)).toThrow("permission denied");
      expect(() => checkAccess(row, VM)).toThrow("permission denied");
      checkAccess(row, { ...MEMBER, role: "admin" });
      checkAccess(row, OPERATOR);
    }
  });

  it("lets developers say nothing in the name of a VM", () => {
    for (const method of [VmSyncServiceService.watchVm, VmSyncServiceService.syncVm])
      expect(() => checkAccess(ROTATION_ACCESS[method.path] ?? {}, MEMBER)).toThrow();
    checkAccess(ROTATION_ACCESS[RolloutServiceService.rekeyAgent.path] ?? {}, MEMBER);
  });
});
