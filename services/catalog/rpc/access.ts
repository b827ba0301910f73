import { AUDIT_ACCESS } from "../../../lib/audit/rpc/access";
import type { AccessTable } from "../../../lib/grpc/access";
import { CredentialSecretServiceService } from "../../../gen/murmur/catalog/v1/credential_secrets";
import { DeliveryServiceService } from "../../../gen/murmur/catalog/v1/delivery";
import { EncryptionServiceService } from "../../../gen/murmur/catalog/v1/encryption";
import { EnvironmentServiceService } from "../../../gen/murmur/catalog/v1/environments";
import { SecretServiceService } from "../../../gen/murmur/catalog/v1/secrets";
import { TenantDataServiceService } from "../../../gen/murmur/catalog/v1/tenant_data";
import { UserServiceService } from "../../../gen/murmur/catalog/v1/users";
import { VmServiceService } from "../../../gen/murmur/catalog/v1/vms";
import { WorkspaceServiceService } from "../../../gen/murmur/catalog/v1/workspaces";

const ROTATION = "rotation";

/** Who may call what: one row per RPC of this service; a test fails when one has none. */
export const CATALOG_ACCESS: AccessTable = {
  [SecretServiceService.setSecret.path]: { developer: "admin" },
  [SecretServiceService.getSecret.path]: { developer: "member" },
  [SecretServiceService.listSecrets.path]: { developer: "member" },
  [SecretServiceService.deleteSecret.path]: { developer: "admin" },
  [SecretServiceService.listSecretVersions.path]: { developer: "member" },
  [SecretServiceService.importSecrets.path]: { developer: "admin" },
  [SecretServiceService.revokeSecret.path]: { developer: "admin" },
  [SecretServiceService.destroySecretVersion.path]: { developer: "admin" },

  // Members are let in for what is their own: `callerAbout` looks at the name in the request.
  [UserServiceService.setUser.path]: { developer: "member" },
  [UserServiceService.getUser.path]: { developer: "member" },
  [UserServiceService.listUsers.path]: { developer: "member" },
  [UserServiceService.deleteUser.path]: { developer: "member" },
  [UserServiceService.setUserSecret.path]: { developer: "member" },
  [UserServiceService.getUserSecret.path]: { developer: "member" },
  [UserServiceService.listUserSecrets.path]: { developer: "member" },
  [UserServiceService.deleteUserSecret.path]: { developer: "member" },
  [UserServiceService.listUserSecretVersions.path]: { developer: "member" },

  [WorkspaceServiceService.setWorkspace.path]: { developer: "admin" },
  [WorkspaceServiceService.getWorkspace.path]: { developer: "member", services: [ROTATION] },
  [WorkspaceServiceService.listWorkspaces.path]: { developer: "member" },
  [WorkspaceServiceService.deleteWorkspace.path]: { developer: "admin" },

  [EnvironmentServiceService.storeSpawnSecrets.path]: { developer: "member", vm: true },
  [EnvironmentServiceService.setAgentSecrets.path]: { services: [ROTATION] },
  [EnvironmentServiceService.snapshotEnvironments.path]: { services: [ROTATION] },
  // What is let go of anyway may be let go of by a tenant that is being deleted, too.
  [EnvironmentServiceService.releaseGenerations.path]: { services: [ROTATION], endedTenants: true },
  [EnvironmentServiceService.findPins.path]: { services: [ROTATION] },
  [EnvironmentServiceService.previewEnvironments.path]: { services: [ROTATION] },

  [EncryptionServiceService.rotateKeyEncryptionKey.path]: { developer: "owner" },
  [EncryptionServiceService.getEncryption.path]: { developer: "admin" },
  [CredentialSecretServiceService.stageCredential.path]: { services: [ROTATION] },
  [CredentialSecretServiceService.storeStagedCredential.path]: { services: [ROTATION] },
  [CredentialSecretServiceService.discardStagedCredential.path]: {
    services: [ROTATION],
    endedTenants: true,
  },
  [CredentialSecretServiceService.findCredentialHolders.path]: {
    services: [ROTATION],
    endedTenants: true,
  },

  [VmServiceService.issueJoinToken.path]: { developer: "admin" },
  // Both carry their own proof: a join token or a registered key, and a signature.
  [VmServiceService.joinVm.path]: { anyone: true },
  [VmServiceService.renewVmToken.path]: { anyone: true },
  [VmServiceService.listVms.path]: { developer: "member", services: [ROTATION] },
  [VmServiceService.removeVm.path]: { developer: "admin" },
  [VmServiceService.listRemovedVms.path]: { services: [ROTATION] },

  [DeliveryServiceService.openDeliverySession.path]: { vm: true },
  [DeliveryServiceService.fetchEnvironments.path]: { vm: true },

  [TenantDataServiceService.endTenant.path]: { services: [ROTATION], endedTenants: true },
  [TenantDataServiceService.purgeTenant.path]: { services: [ROTATION], endedTenants: true },

  ...AUDIT_ACCESS,
};
