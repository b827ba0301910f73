import { ErrorReason } from "../../gen/murmur/errors/v1/error_reason";
import { AgentServiceService } from "../../gen/murmur/rotation/v1/agents";
import { BindingServiceService } from "../../gen/murmur/rotation/v1/bindings";
import { CredentialServiceService } from "../../gen/murmur/rotation/v1/credentials";
import { IdentityServiceService } from "../../gen/murmur/rotation/v1/identity";
import { PeopleServiceService } from "../../gen/murmur/rotation/v1/people";
import { RolloutServiceService } from "../../gen/murmur/rotation/v1/rollouts";
import { SelfRotationServiceService } from "../../gen/murmur/rotation/v1/self_rotation";
import { TenantServiceService } from "../../gen/murmur/rotation/v1/tenants";
import { SessionServiceService } from "../../gen/murmur/rotation/v1/sessions";
import { VmSyncServiceService } from "../../gen/murmur/rotation/v1/vm_sync";
import { failedPrecondition, permissionDenied, type AppError } from "../../lib/errors";
import { AUDIT_ACCESS } from "../../lib/audit/rpc/access";
import type { AccessTable } from "../../lib/grpc/access";
import type { Principal } from "../../lib/identity/principal";

/** A VM or an agent asks on behalf of what runs there, and what is rekeyed does not rekey itself. */
function refuseRekey(principal: Principal): AppError {
  if (principal.kind !== "vm" && principal.kind !== "agent") return permissionDenied();
  const message = "rekey is not supported on VMs";
  return failedPrecondition(ErrorReason.ERROR_REASON_NOT_SUPPORTED_ON_VM, message);
}

/** Who is presented with credentials: the product's own services, and internal ones of a tenant. */
const VERIFIERS = ["catalog", "gateway", "verifier"];

/** An operator's proxy, which sees the requests of everybody's agents: nothing for a member to say. */
const OBSERVERS = { developer: "admin", services: ["llm-proxy"] } as const;

/** Who may call what: one row per RPC of this service; a test fails when one has none. */
export const ROTATION_ACCESS: AccessTable = {
  [AgentServiceService.spawnAgent.path]: { developer: "member", vm: true },
  [AgentServiceService.getAgent.path]: { developer: "member", vm: true },
  [AgentServiceService.listAgents.path]: { developer: "member", vm: true },
  [AgentServiceService.killAgent.path]: { developer: "member", vm: true },
  [AgentServiceService.explainAgent.path]: { developer: "member" },
  [AgentServiceService.listHolders.path]: { developer: "member" },

  [RolloutServiceService.rekeyAgent.path]: { developer: "member", refusal: refuseRekey },
  [RolloutServiceService.rekeyAgents.path]: { developer: "member", refusal: refuseRekey },
  [RolloutServiceService.previewRekey.path]: { developer: "member", refusal: refuseRekey },
  [RolloutServiceService.rollbackRollout.path]: { developer: "member", refusal: refuseRekey },
  [RolloutServiceService.getRollout.path]: { developer: "member" },
  [RolloutServiceService.listRollouts.path]: { developer: "member" },
  [RolloutServiceService.watchRollout.path]: { developer: "member" },
  [RolloutServiceService.listRolloutProcesses.path]: { developer: "member" },

  // By these a VM is told to end the agents of a tenant that was deleted.
  [VmSyncServiceService.watchVm.path]: { vm: true, endedTenants: true },
  [VmSyncServiceService.syncVm.path]: { vm: true, endedTenants: true },
  [VmSyncServiceService.listVmStatuses.path]: { developer: "member" },

  [CredentialServiceService.createCredential.path]: { developer: "member" },
  [CredentialServiceService.listCredentials.path]: { developer: "member" },
  [CredentialServiceService.getCredential.path]: { developer: "member" },
  [CredentialServiceService.rotateCredential.path]: { developer: "member" },
  [CredentialServiceService.revokeCredential.path]: { developer: "member" },
  [CredentialServiceService.verifyCredential.path]: { services: VERIFIERS },
  [CredentialServiceService.verifyCredentials.path]: { services: VERIFIERS },
  [CredentialServiceService.awaitCredentialChanges.path]: { services: VERIFIERS },

  [BindingServiceService.observeKey.path]: OBSERVERS,
  [BindingServiceService.recordHistory.path]: OBSERVERS,
  [BindingServiceService.rebindAgent.path]: { developer: "member" },
  [BindingServiceService.verifyBinding.path]: { developer: "member" },
  [BindingServiceService.claimAgent.path]: { developer: "member" },
  [BindingServiceService.deactivateAgent.path]: { developer: "member" },
  [BindingServiceService.getBoundAgent.path]: { developer: "member" },
  [BindingServiceService.listBoundAgents.path]: { developer: "member" },
  [PeopleServiceService.addPerson.path]: { developer: "owner" },
  [PeopleServiceService.listPeople.path]: { developer: "member" },
  [PeopleServiceService.setPersonRole.path]: { developer: "owner" },
  [PeopleServiceService.removePerson.path]: { developer: "owner" },

  [TenantServiceService.deleteTenant.path]: { developer: "owner" },
  // Nobody of the tenant is known any more: the request id is the proof.
  [TenantServiceService.getTenantDeletion.path]: { anyone: true },

  [SelfRotationServiceService.inviteAgent.path]: { developer: "member" },
  // Both carry their own proof: an invitation, or a token with its rotation secret.
  [SelfRotationServiceService.registerAgent.path]: { anyone: true },
  [SelfRotationServiceService.rotateSelf.path]: { anyone: true },
  [SelfRotationServiceService.listRegisteredAgents.path]: { developer: "member" },
  [SelfRotationServiceService.getRegisteredAgent.path]: { developer: "member" },
  [SelfRotationServiceService.rotateAgentCredentials.path]: { developer: "member" },
  [SelfRotationServiceService.revokeAgent.path]: { developer: "member" },
  [SelfRotationServiceService.setAutoRotation.path]: { developer: "member" },
  [SelfRotationServiceService.listDueRotations.path]: { vm: true },
  [SelfRotationServiceService.rotateForAgent.path]: { vm: true },

  // A session may do no more than the key that it is made with, and says only who that is.
  [SessionServiceService.createSession.path]: { developer: "member", anyScope: true },
  [SessionServiceService.getSession.path]: { developer: "member", anyScope: true },
  [SessionServiceService.endSession.path]: { developer: "member", anyScope: true },
  [SessionServiceService.listSessions.path]: { developer: "member" },
  [SessionServiceService.revokeSession.path]: { developer: "member" },
  [SessionServiceService.revokeAllSessions.path]: { developer: "member" },

  [IdentityServiceService.getIdentity.path]: {
    developer: "member",
    operator: true,
    anyScope: true,
  },
  // Who signs in has no credential of ours yet.
  [IdentityServiceService.getSignIn.path]: { anyone: true },
  [IdentityServiceService.exchangeToken.path]: { anyone: true },
  [IdentityServiceService.renewIdentityToken.path]: { developer: "member" },
  [IdentityServiceService.verifyIdentityTokens.path]: { services: VERIFIERS },

  ...AUDIT_ACCESS,
};
