import { AuditServiceService } from "../gen/murmur/audit/v1/audit";
import { EncryptionServiceService } from "../gen/murmur/catalog/v1/encryption";
import { EnvironmentServiceService } from "../gen/murmur/catalog/v1/environments";
import { SecretServiceService } from "../gen/murmur/catalog/v1/secrets";
import { UserServiceService } from "../gen/murmur/catalog/v1/users";
import { VmServiceService } from "../gen/murmur/catalog/v1/vms";
import { WorkspaceServiceService } from "../gen/murmur/catalog/v1/workspaces";
import { connect, type ServiceAddress } from "./connect";
import { createLightClient } from "./grpc/light-client";

export type Catalog = ReturnType<typeof connectCatalog>;

/** Clients of the catalog over one connection; `close` it. */
export function connectCatalog(to: ServiceAddress) {
  const session = connect(to);
  return {
    secrets: createLightClient(SecretServiceService, session),
    users: createLightClient(UserServiceService, session),
    workspaces: createLightClient(WorkspaceServiceService, session),
    vms: createLightClient(VmServiceService, session),
    encryption: createLightClient(EncryptionServiceService, session),
    environments: createLightClient(EnvironmentServiceService, session),
    audit: createLightClient(AuditServiceService, session),
    close: session.close,
  };
}
