import { fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { DESCRIPTOR_SET } from "../../../gen/descriptor-set";
import { checkAccess } from "../../../lib/grpc/access";
import type { Principal, Role } from "../../../lib/identity/principal";
import { CATALOG_ACCESS } from "./access";

const PACKAGES = ["murmur.catalog.v1", "murmur.audit.v1"];

function rpcs(): string[] {
  const set = fromBinary(FileDescriptorSetSchema, Buffer.from(DESCRIPTOR_SET, "base64"));
  return set.file
    .filter((file) => PACKAGES.includes(file.package))
    .flatMap((file) =>
      file.service.flatMap(({ name, method }) =>
        method.map((rpc) => `/${file.package}.${name}/${rpc.name}`),
      ),
    );
}

const developer = (role: Role): Principal => ({
  kind: "developer",
  tenantId: "t1",
  id: "github/alice",
  role,
  firstIssuedAt: 0,
  expiresAt: new Date(),
});
const service = (id: string): Principal => ({ kind: "service", tenantId: "t1", id });
const VM: Principal = { kind: "vm", tenantId: "t1", id: "vm", name: "vm-1", keyThumbprint: "x" };

/** `Service/Method` of what a principal may call. */
function open(principal: Principal | undefined): string[] {
  const paths = rpcs().filter((path) => {
    try {
      checkAccess(CATALOG_ACCESS[path] ?? {}, principal);
      return true;
    } catch {
      return false;
    }
  });
  return paths.map((path) => path.replace(/^.*\.v1\./, "")).sort();
}

const WITHOUT_TOKEN = ["VmService/JoinVm", "VmService/RenewVmToken"];
const MEMBER = [
  ...WITHOUT_TOKEN,
  "EnvironmentService/StoreSpawnSecrets",
  "SecretService/GetSecret",
  "SecretService/ListSecretVersions",
  "SecretService/ListSecrets",
  ...["SetUser", "GetUser", "ListUsers", "DeleteUser", "SetUserSecret", "GetUserSecret"].map(
    (rpc) => `UserService/${rpc}`,
  ),
  "UserService/ListUserSecrets",
  "UserService/DeleteUserSecret",
  "UserService/ListUserSecretVersions",
  "VmService/ListVms",
  "WorkspaceService/GetWorkspace",
  "WorkspaceService/ListWorkspaces",
];
const ADMIN = [
  ...MEMBER,
  "AuditService/ListAuditCheckpoints",
  "AuditService/ListAuditKeys",
  "AuditService/ListAuditLinks",
  "AuditService/ListAuditRecords",
  "AuditService/ListUnsealedAuditRecords",
  "EncryptionService/GetEncryption",
  "SecretService/DeleteSecret",
  "SecretService/DestroySecretVersion",
  "SecretService/ImportSecrets",
  "SecretService/RevokeSecret",
  "SecretService/SetSecret",
  "VmService/IssueJoinToken",
  "VmService/RemoveVm",
  "WorkspaceService/DeleteWorkspace",
  "WorkspaceService/SetWorkspace",
];

describe("the access table", () => {
  it("has a row for every RPC of the contract, and none besides", () => {
    expect(Object.keys(CATALOG_ACCESS).sort()).toEqual(rpcs().sort());
  });

  it.each<[string, Principal | undefined, string[]]>([
    ["nobody", undefined, WITHOUT_TOKEN],
    ["a member", developer("member"), MEMBER],
    ["an admin", developer("admin"), ADMIN],
    ["an owner", developer("owner"), [...ADMIN, "EncryptionService/RotateKeyEncryptionKey"]],
    [
      "an operator",
      { kind: "operator", tenantId: "", id: "github/dana", expiresAt: new Date() },
      [...WITHOUT_TOKEN, ...ADMIN.filter((rpc) => rpc.startsWith("AuditService/"))],
    ],
    [
      "a VM",
      VM,
      [
        ...WITHOUT_TOKEN,
        "DeliveryService/FetchEnvironments",
        "DeliveryService/OpenDeliverySession",
        "EnvironmentService/StoreSpawnSecrets",
      ],
    ],
    [
      "the rotation service",
      service("rotation"),
      [
        ...WITHOUT_TOKEN,
        "CredentialSecretService/DiscardStagedCredential",
        "CredentialSecretService/FindCredentialHolders",
        "CredentialSecretService/StageCredential",
        "CredentialSecretService/StoreStagedCredential",
        "EnvironmentService/FindPins",
        "EnvironmentService/PreviewEnvironments",
        "EnvironmentService/ReleaseGenerations",
        "EnvironmentService/SetAgentSecrets",
        "EnvironmentService/SnapshotEnvironments",
        "TenantDataService/EndTenant",
        "TenantDataService/PurgeTenant",
        "VmService/ListRemovedVms",
        "VmService/ListVms",
        "WorkspaceService/GetWorkspace",
      ],
    ],
    ["another service", service("gateway"), WITHOUT_TOKEN],
  ])("lets %s do what the contract says, and nothing else", (_who, principal, allowed) => {
    expect(open(principal)).toEqual([...allowed].sort());
  });
});
