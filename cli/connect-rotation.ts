import { AuditServiceService } from "../gen/murmur/audit/v1/audit";
import { AgentServiceService } from "../gen/murmur/rotation/v1/agents";
import { BindingServiceService } from "../gen/murmur/rotation/v1/bindings";
import { CredentialServiceService } from "../gen/murmur/rotation/v1/credentials";
import { IdentityServiceService } from "../gen/murmur/rotation/v1/identity";
import { PeopleServiceService } from "../gen/murmur/rotation/v1/people";
import { RolloutServiceService } from "../gen/murmur/rotation/v1/rollouts";
import { SelfRotationServiceService } from "../gen/murmur/rotation/v1/self_rotation";
import { TenantServiceService } from "../gen/murmur/rotation/v1/tenants";
import { VmSyncServiceService } from "../gen/murmur/rotation/v1/vm_sync";
import { connect, type ServiceAddress } from "./connect";
import { createLightClient } from "./grpc/light-client";

export type Rotation = ReturnType<typeof connectRotation>;

/** Clients of rotation over one connection; `close` it. */
export function connectRotation(to: ServiceAddress) {
  const session = connect(to);
  return {
    agents: createLightClient(AgentServiceService, session),
    rollouts: createLightClient(RolloutServiceService, session),
    vmSync: createLightClient(VmSyncServiceService, session),
    credentials: createLightClient(CredentialServiceService, session),
    bindings: createLightClient(BindingServiceService, session),
    people: createLightClient(PeopleServiceService, session),
    selfRotation: createLightClient(SelfRotationServiceService, session),
    tenants: createLightClient(TenantServiceService, session),
    identity: createLightClient(IdentityServiceService, session),
    audit: createLightClient(AuditServiceService, session),
    close: session.close,
  };
}
